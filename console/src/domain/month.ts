// Months of UTC, written as `2026-03`.

const NAME = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });

export function isMonth(text: string): boolean {
  return /^\d{4}-(0[1-9]|1[0-2])$/.test(text);
}

export function monthOf(at: number): string {
  return new Date(at).toISOString().slice(0, 7);
}

/** The month so many months later. */
export function addMonths(month: string, count: number): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return monthOf(Date.UTC(year, number - 1 + count));
}

export function monthName(month: string): string {
  return NAME.format(Date.parse(`${month}-01T00:00:00Z`));
}

/** From its first moment to that of the next. */
export function monthSpan(month: string): { from: string; to: string } {
  return { from: `${month}-01T00:00:00Z`, to: `${addMonths(month, 1)}-01T00:00:00Z` };
}

/** Every day of it: `2026-03-01` and so on. */
export function daysOf(month: string): string[] {
  const { from, to } = monthSpan(month);
  const count = Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000);
  return Array.from({ length: count }, (_, index) => `${month}-${String(index + 1).padStart(2, "0")}`);
}

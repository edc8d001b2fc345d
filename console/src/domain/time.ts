// Times for people.

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const absolute = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const timeOfDay = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayAndTime = new Intl.DateTimeFormat("en", {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat("en", { dateStyle: "medium" });

/** `5 min. ago`, `in 3 days`; `just now` within a minute. */
export function fromNow(at: string, now: number): string {
  const seconds = (Date.parse(at) - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) {
      return relative.format(Math.trunc(seconds / length), unit);
    }
  }
  return seconds > 0 ? "in a moment" : "just now";
}

export function exactly(at: string): string {
  return absolute.format(new Date(at));
}

/** The time of a day that is clear from it: `10:32`, or `Nov 21, 10:32` when it was not within a day. */
export function clock(at: number, now: number): string {
  return (now - at < 86_400_000 ? timeOfDay : dayAndTime).format(at);
}

export function dayOf(at: string): string {
  return day.format(new Date(at));
}

/** `15 min`, `1 h 30 min`, `40 s`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest === 0 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/** Long spans in hours: `36.5 h`, `1,204 h`; short ones as they are, `12 min`. */
export function hours(seconds: number): string {
  if (seconds < 3600) return duration(seconds);
  const count = seconds / 3600;
  const digits = count < 100 ? 1 : 0;
  return `${count.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} h`;
}

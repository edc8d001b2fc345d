import { expect, test } from "vitest";
import { addMonths, daysOf, isMonth, monthName, monthOf, monthSpan } from "./month";

test("months follow each other over years", () => {
  expect(addMonths("2026-12", 1)).toBe("2027-01");
  expect(addMonths("2026-01", -1)).toBe("2025-12");
  expect(monthSpan("2026-12")).toEqual({ from: "2026-12-01T00:00:00Z", to: "2027-01-01T00:00:00Z" });
  expect(monthOf(Date.parse("2026-03-31T23:59:59Z"))).toBe("2026-03");
  expect(monthName("2026-03")).toBe("March 2026");
});

test("a month has its days", () => {
  expect(daysOf("2028-02")).toHaveLength(29);
  expect(daysOf("2026-02").at(-1)).toBe("2026-02-28");
  expect(daysOf("2026-03")[0]).toBe("2026-03-01");
});

test("what is no month is told", () => {
  for (const wrong of ["", "2026", "2026-13", "2026-3", "2026-00", "x2026-03"]) {
    expect(isMonth(wrong)).toBe(false);
  }
  expect(isMonth("2026-03")).toBe(true);
});

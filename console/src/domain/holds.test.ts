import { expect, it } from "vitest";
import { minutesUntilTomorrow, refuseHold } from "./holds";

it("ends tomorrow morning, and never more than a day ahead", () => {
  expect(minutesUntilTomorrow(new Date(2026, 2, 1, 21, 0))).toBe(720);
  expect(minutesUntilTomorrow(new Date(2026, 2, 1, 8, 59))).toBe(1440);
  expect(minutesUntilTomorrow(new Date(2026, 2, 1, 23, 59, 30))).toBe(541);
});

it("holds what can be awake", () => {
  expect(refuseHold("running")).toBeNull();
  expect(refuseHold("hibernated")).toBeNull();
  expect(refuseHold("stopped")).not.toBeNull();
  expect(refuseHold("deleting")).not.toBeNull();
});

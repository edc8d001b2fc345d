import { describe, expect, it } from "vitest";
import { appUrl } from "./app-url";
import { pollInterval, refuseOrder } from "./lifecycle";
import { refuseRole } from "./roles";
import { duration, fromNow } from "./time";

describe("orders", () => {
  it("make sense only in some states", () => {
    expect(refuseOrder("start", "hibernated")).toBeNull();
    expect(refuseOrder("start", "failed")).toBeNull();
    expect(refuseOrder("start", "running")).toBe("The machine is running.");
    expect(refuseOrder("hibernate", "running")).toBeNull();
    expect(refuseOrder("hibernate", "stopped")).not.toBeNull();
    expect(refuseOrder("stop", "hibernated")).toBeNull();
    expect(refuseOrder("stop", "deleting")).not.toBeNull();
  });

  it("are followed more closely while something is on its way", () => {
    expect(pollInterval(["running", "waking"])).toBe(2000);
    expect(pollInterval(["running", "hibernated"])).toBe(7000);
  });
});

it("gives apps their addresses", () => {
  expect(appUrl("http://*.apps.localhost:8787", "acme", "api")).toBe("http://api--acme.apps.localhost:8787");
  expect(appUrl("https://*.apps.example", "acme", "api", 3000)).toBe("https://3000--api--acme.apps.example");
});

it("says which role is needed", () => {
  expect(refuseRole("member", "member")).toBeNull();
  expect(refuseRole("viewer", "member")).toBe("This needs the role member or higher; yours is viewer.");
});

it("says times", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  expect(fromNow("2026-01-01T23:59:30Z", now)).toBe("just now");
  expect(fromNow("2026-01-01T23:55:00Z", now)).toBe("5 min. ago");
  expect(fromNow("2026-01-05T00:00:00Z", now)).toBe("in 3 days");
  expect([40, 900, 3600, 5400].map(duration)).toEqual(["40 s", "15 min", "1 h", "1 h 30 min"]);
});

import { describe, expect, it } from "vitest";
import { refuseMachineName, refuseOrgSlug, refusePort, refuseServiceName, suggestSlug } from "./names";

describe("names", () => {
  it.each([
    ["", "is required"],
    ["a".repeat(31), "at most 30"],
    ["1a", "must start with a letter"],
    ["-a", "must start with a letter"],
    ["a-", "must not end"],
    ["a--b", "two hyphens"],
    ["Api", "may contain only"],
    ["a_b", "may contain only"],
    ["www", "reserved"],
  ])("refuses %j", (name, reason) => {
    expect(refuseMachineName(name)).toContain(reason);
  });

  it("accepts what the protocol accepts", () => {
    expect(refuseMachineName("api-demo")).toBeNull();
    expect(refuseMachineName("a".repeat(30))).toBeNull();
    expect(refuseOrgSlug("a".repeat(25))).toContain("at most 24");
    expect(refuseOrgSlug("a")).toBeNull();
  });

  it("knows services and ports", () => {
    expect(refuseServiceName("web-1.a_b")).toBeNull();
    expect(refuseServiceName("-web")).not.toBeNull();
    expect([1023, 8080, 65536, 3.5, Number.NaN].every((port) => refusePort(port))).toBe(true);
    expect(refusePort(3000)).toBeNull();
  });

  it("suggests a slug that is one", () => {
    expect(suggestSlug("Ada & Söhne GmbH")).toBe("ada-so-hne-gmbh");
    expect(suggestSlug("42 Things")).toBe("things");
    expect(suggestSlug("A very long name of a very long company")).toBe("a-very-long-name-of-a-ve");
  });
});

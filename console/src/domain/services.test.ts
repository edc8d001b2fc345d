import { expect, it } from "vitest";
import type { Service, ServiceStatus } from "../api/schema";
import { exitText, mayNeed, neededBy, ranText, remarks, waitingText } from "./services";

function service(name: string, needs: string[], more: Partial<Service> = {}): Service {
  return { name, command: "a", desired: "up", needs, ...more };
}

function status(more: Partial<ServiceStatus>): ServiceStatus {
  return { name: "web", state: "running", exits: [], ...more };
}

it("says how a process ended, and for how long it had run", () => {
  const exit = { at: "2026-01-01T00:00:00Z", ran_ms: 5, ordered: false };
  expect(exitText({ ...exit, code: 3 })).toBe("exited with code 3");
  expect(exitText({ ...exit, signal: 9 })).toBe("ended by KILL");
  expect(exitText({ ...exit, signal: 40 })).toBe("ended by signal 40");
  expect(exitText({ ...exit, signal: 15, ordered: true })).toBe("ended by TERM, as told");
  expect([400, 12_000, 11_100_000].map(ranText)).toEqual(["0.4 s", "12 s", "3 h 5 min"]);
});

it("says what a service waits for, and why that may take long", () => {
  expect(waitingText(status({}))).toBeNull();
  const waiting_on: ServiceStatus["waiting_on"] = [
    { name: "db", state: "failed" },
    { name: "cache", state: "starting" },
    { name: "gone", state: null },
  ];
  expect(waitingText(status({ waiting_on }))).toBe(
    "waits for db, which failed; cache; gone, which is not there",
  );
});

it("remarks on what is not as it should be", () => {
  const ready = { by: "tcp", port: 5432 } as const;
  expect(remarks(service("web", []))).toEqual([]);
  expect(remarks(service("web", [], { status: status({ ready: true }) }))).toEqual([]);
  expect(remarks(service("web", [], { ready, status: status({}) }))).toEqual(["not ready yet"]);
  const late = status({ error: "not ready after 60 s", restarts: 1, keeps_awake: true });
  expect(remarks(service("web", [], { ready, status: late }))).toEqual([
    "not ready after 60 s",
    "restarted once",
    "keeps the machine awake",
  ]);
});

it("offers only needs that make no cycle", () => {
  const services = [service("db", []), service("api", ["db"]), service("web", ["api"]), service("mail", [])];
  expect(mayNeed(services, "db")).toEqual(["mail"]);
  expect(mayNeed(services, "web")).toEqual(["db", "api", "mail"]);
  expect(mayNeed(services, "new")).toEqual(["db", "api", "web", "mail"]);
  expect(neededBy(services, "db")).toEqual(["api"]);
});

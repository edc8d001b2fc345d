import { type InfiniteData, QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { eventsQuery } from "../api/events";
import { machineQuery, machinesQuery } from "../api/machines";
import type { Machine, MachineEvent, MachineEvents } from "../api/schema";
import { Applier } from "./apply";

const ORG = "acme";
const machine = (name: string, version: number, state = "running"): Machine =>
  ({ id: `id-${name}`, name, version, state, org: ORG }) as Machine;
const event = (id: string, name = "one", kind = "running"): MachineEvent =>
  ({ id, kind, at: "", detail: "", actor: null, machine: { id: `id-${name}`, name } }) as MachineEvent;

let client: QueryClient;
let applier: Applier;
beforeEach(() => {
  vi.useFakeTimers();
  client = new QueryClient();
  applier = new Applier(client, ORG);
});
afterEach(() => {
  applier.close();
  client.clear();
  vi.useRealTimers();
});

const list = () => client.getQueryData(machinesQuery(ORG).queryKey);
const tell = (kind: string, data: object, name = "one") =>
  applier.apply({ seq: 1, at: "", kind, machine: name, data: data as Record<string, unknown> });

test("a machine appears, changes and goes without a question", () => {
  client.setQueryData(machinesQuery(ORG).queryKey, [machine("two", 1)]);
  tell("machine", machine("one", 1, "creating"));
  expect(list()?.map(({ name }) => name)).toEqual(["one", "two"]);
  tell("machine", machine("one", 3));
  tell("machine", machine("one", 2, "creating"));
  expect(list()?.[0]).toMatchObject({ version: 3, state: "running" });
  tell("machine", { id: "id-one", name: "one", removed: true });
  expect(list()?.map(({ name }) => name)).toEqual(["two"]);
});

test("an answer that is older than what was told is not shown", async () => {
  const key = machineQuery(ORG, "one").queryKey;
  client.setQueryData(key, machine("one", 1, "creating"));
  tell("machine", machine("one", 4));
  const { structuralSharing } = machineQuery(ORG, "one");
  const fetched = client.fetchQuery({
    queryKey: key,
    queryFn: () => Promise.resolve(machine("one", 2, "creating")),
    ...(structuralSharing === undefined ? {} : { structuralSharing }),
  });
  await vi.runAllTimersAsync();
  await fetched;
  expect(client.getQueryData(key)).toMatchObject({ version: 4, state: "running" });
  // One of the same name that was made anew is another one.
  tell("machine", { ...machine("one", 1, "creating"), id: "another" });
  expect(client.getQueryData(key)).toMatchObject({ id: "another", version: 1 });
});

test("history grows at its top, once, and only where it belongs", () => {
  const pages = (...ids: string[]): InfiniteData<MachineEvents> => ({
    pages: [{ events: ids.map((id) => event(id)), next: null }],
    pageParams: [null],
  });
  const all = eventsQuery(ORG, {}).queryKey;
  const other = eventsQuery(ORG, { machine: "two" }).queryKey;
  const rare = eventsQuery(ORG, { kind: "rare" }).queryKey;
  for (const key of [all, other, rare]) {
    client.setQueryData(key, pages("5", "3"));
  }
  tell("event", event("6"));
  tell("event", event("6"));
  tell("event", event("4"));
  const ids = (key: readonly unknown[]) =>
    client.getQueryData<InfiniteData<MachineEvents>>(key)?.pages[0]?.events.map(({ id }) => id);
  expect(ids(all)).toEqual(["6", "5", "4", "3"]);
  expect(ids(other)).toEqual(["5", "3"]);
  expect(ids(rare)).toEqual(["5", "3"]);
});

test("everything else is read again, once for several changes", async () => {
  const read = vi.fn(() => Promise.resolve([]));
  const observer = new QueryObserver(client, {
    queryKey: ["orgs", ORG, "machines", "one", ":services"],
    queryFn: read,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const stop = observer.subscribe(() => {});
  await vi.advanceTimersByTimeAsync(10);
  expect(read).toHaveBeenCalledTimes(1);
  tell("services", { name: "web" });
  tell("services", { name: "api" });
  tell("services", { name: "web" }, "two");
  await vi.advanceTimersByTimeAsync(100);
  expect(read).toHaveBeenCalledTimes(2);
  stop();
});

// What a change does to what is known: machines and their history are in the change itself, everything else is read
// again, if somebody looks at it.
import type { InfiniteData, QueryClient, QueryKey } from "@tanstack/react-query";
import { accountQuery } from "../api/accounts";
import { type EventsFilter, eventsKey } from "../api/events";
import { isNewer, machineKey, machineQuery, machinesQuery } from "../api/machines";
import type { Machine, MachineEvent, MachineEvents } from "../api/schema";
import type { Change } from "./feed";

/** Several changes within this time are one reason to read something again. */
const GATHER = 60;

export class Applier {
  private stale = new Map<string, QueryKey>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly client: QueryClient,
    private readonly org: string,
  ) {}

  apply({ kind, machine, data }: Change): void {
    const { org } = this;
    if (kind === "machine" && data) {
      this.machine(data as unknown as Machine & { removed?: true });
    } else if (kind === "event" && data) {
      this.event(data as unknown as MachineEvent);
    } else if (machine) {
      // Parts of a machine are known by the name of their kind.
      this.read([...machineKey(org, machine), `:${kind}`]);
      if (kind === "holds") {
        this.read([...machineKey(org, machine), ":why"]);
      }
    } else {
      this.read(["orgs", org, kind]);
      if (kind === "members") {
        // It may be one's own role.
        this.read(accountQuery.queryKey);
      }
    }
  }

  /** Nothing that is known of the organization is certain any more; ends when what is shown has been read again. */
  async reset(): Promise<void> {
    const keys = [["orgs", this.org], accountQuery.queryKey];
    await Promise.all(keys.map((queryKey) => this.client.invalidateQueries({ queryKey })));
  }

  close(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private machine(changed: Machine & { removed?: true }): void {
    const { client, org } = this;
    const { removed, ...machine } = changed;
    const list = machinesQuery(org).queryKey;
    const record = machineQuery(org, machine.name).queryKey;
    if (removed) {
      client.setQueryData(list, (known) => known?.filter(({ id }) => id !== machine.id));
      this.read(record);
    } else {
      client.setQueryData(list, (known) => known && withMachine(known, machine));
      client.setQueryData(record, (known) => (known && isNewer(machine, known) ? machine : known));
      this.read([...machineKey(org, machine.name), ":why"]);
    }
    // How many there are, how many of them are awake, and for how long they have been.
    this.read(["orgs", org, "quotas"]);
    this.read(["orgs", org, "usage"]);
  }

  private event(event: MachineEvent): void {
    const { client, org } = this;
    for (const [key, known] of client.getQueriesData<InfiniteData<MachineEvents>>({
      queryKey: eventsKey(org),
    })) {
      const { machine, kind } = key.at(-1) as EventsFilter;
      if (
        known &&
        (machine ?? event.machine.name) === event.machine.name &&
        (kind ?? event.kind) === event.kind
      ) {
        client.setQueryData(key, withEvent(known, event));
      }
    }
  }

  /** What is shown of this is read again, everything else when it is shown. */
  private read(key: QueryKey): void {
    this.stale.set(JSON.stringify(key), key);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const keys = [...this.stale.values()];
      this.stale.clear();
      for (const queryKey of keys) {
        void this.client.invalidateQueries({ queryKey });
      }
    }, GATHER);
  }
}

function withMachine(known: Machine[], machine: Machine): Machine[] {
  const at = known.findIndex(({ id }) => id === machine.id);
  const present = known[at];
  if (present) {
    return isNewer(machine, present) ? known.with(at, machine) : known;
  }
  return [...known, machine].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Newest first, each once; what belongs to a page that is not loaded stays there. */
function withEvent(known: InfiniteData<MachineEvents>, event: MachineEvent): InfiniteData<MachineEvents> {
  const [first, ...rest] = known.pages;
  if (!first || known.pages.some((page) => page.events.some(({ id }) => id === event.id))) {
    return known;
  }
  const after = first.events.findIndex(({ id }) => id < event.id);
  if (after < 0 && (first.next != null || rest.length > 0)) {
    return known;
  }
  const events = first.events.toSpliced(after < 0 ? first.events.length : after, 0, event);
  return { ...known, pages: [{ ...first, events }, ...rest] };
}

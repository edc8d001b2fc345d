// Machines: the list, one of them, and what can be asked of it.
import { queryOptions, replaceEqualDeep, useMutation, useQueryClient } from "@tanstack/react-query";
import { type MachineOrder, pollInterval } from "../domain/lifecycle";
import { live } from "../feed/live";
import { answer, api, isNotFound } from "./client";
import type { CreateMachine, Machine, Ordered, UpdateMachine } from "./schema";

const PAGE = 100;

/** Key of everything about the machines of an organization. */
const machinesKey = (org: string) => ["orgs", org, "machines"] as const;
/** Key of everything about one machine, beside its record. */
export const machineKey = (org: string, machine: string) => [...machinesKey(org), machine] as const;

/** Whether a sight of a machine is of later than another one. A machine that was made anew has another id. */
export function isNewer(machine: Machine, known: Machine): boolean {
  return machine.id !== known.id || machine.version > known.version;
}

/** What was asked for before the feed told something newer is not shown. */
function newest(known: Machine | undefined, answered: Machine): Machine {
  return known && isNewer(known, answered) && known.id === answered.id
    ? known
    : replaceEqualDeep(known, answered);
}

export const machinesQuery = (org: string) =>
  queryOptions({
    queryKey: [...machinesKey(org), ":list"],
    queryFn: async (): Promise<Machine[]> => {
      const machines: Machine[] = [];
      let after: string | null | undefined;
      do {
        const query = after ? { limit: PAGE, after } : { limit: PAGE };
        const page = await answer(api.GET("/v1/orgs/{org}/machines", { params: { path: { org }, query } }));
        machines.push(...page.machines);
        after = page.next;
      } while (after);
      return machines;
    },
    // A long list takes several requests: it is looked at as much less often.
    refetchInterval: (query) => {
      const machines = query.state.data ?? [];
      const pages = Math.max(Math.ceil(machines.length / PAGE), 1);
      return live.pace(org, pollInterval(machines.map(({ state }) => state)) * pages);
    },
    structuralSharing: (known, answered) => {
      const before = new Map((known as Machine[] | undefined)?.map((machine) => [machine.id, machine]));
      return replaceEqualDeep(
        known,
        (answered as Machine[]).map((machine) => newest(before.get(machine.id), machine)),
      );
    },
  });

export const machineQuery = (org: string, machine: string) =>
  queryOptions({
    queryKey: [...machineKey(org, machine), ":record"],
    queryFn: () =>
      answer(api.GET("/v1/orgs/{org}/machines/{machine}", { params: { path: { org, machine } } })),
    // A machine that is gone does not come back under its name by waiting.
    refetchInterval: (query) =>
      isNotFound(query.state.error)
        ? false
        : live.pace(org, pollInterval(query.state.data ? [query.state.data.state] : [])),
    structuralSharing: (known, answered) => newest(known as Machine | undefined, answered as Machine),
  });

export function useCreateMachine(org: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: CreateMachine) =>
      answer(api.POST("/v1/orgs/{org}/machines", { params: { path: { org } }, body })),
    onSuccess: (machine) => {
      client.setQueryData(machineQuery(org, machine.name).queryKey, machine);
      return client.invalidateQueries({ queryKey: machinesQuery(org).queryKey });
    },
  });
}

export function useUpdateMachine(org: string, machine: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: UpdateMachine) =>
      answer(api.PATCH("/v1/orgs/{org}/machines/{machine}", { params: { path: { org, machine } }, body })),
    onSuccess: (changed) => {
      client.setQueryData(machineQuery(org, machine).queryKey, changed);
      return client.invalidateQueries({ queryKey: machinesKey(org) });
    },
  });
}

/** Start, hibernate or stop. */
export function useOrderMachine(org: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ machine, order }: { machine: string; order: MachineOrder }): Promise<Ordered> => {
      const params = { path: { org, machine } };
      switch (order) {
        case "start":
          return answer(api.POST("/v1/orgs/{org}/machines/{machine}/start", { params }));
        case "hibernate":
          return answer(api.POST("/v1/orgs/{org}/machines/{machine}/hibernate", { params }));
        case "stop":
          return answer(api.POST("/v1/orgs/{org}/machines/{machine}/stop", { params }));
      }
    },
    onSuccess: (ordered, { machine }) => {
      // What was answered is newer than what is shown; the next look confirms it.
      const change = (known: Machine): Machine =>
        known.state === ordered.state ? known : { ...known, ...ordered, state_at: new Date().toISOString() };
      client.setQueryData(machineQuery(org, machine).queryKey, (known) => known && change(known));
      client.setQueryData(machinesQuery(org).queryKey, (known) =>
        known?.map((one) => (one.name === machine ? change(one) : one)),
      );
    },
    onSettled: () => client.invalidateQueries({ queryKey: machinesKey(org) }),
  });
}

export function useDeleteMachine(org: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (machine: string) =>
      answer(api.DELETE("/v1/orgs/{org}/machines/{machine}", { params: { path: { org, machine } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: machinesQuery(org).queryKey }),
  });
}

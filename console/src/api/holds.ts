// Why a machine is awake or asleep, and holds, which keep it awake.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api } from "./client";
import { machineKey } from "./machines";
import type { CreateHold } from "./schema";

export const whyQuery = (org: string, machine: string) =>
  queryOptions({
    queryKey: [...machineKey(org, machine), ":why"],
    queryFn: () =>
      answer(api.GET("/v1/orgs/{org}/machines/{machine}/why", { params: { path: { org, machine } } })),
    // The clock, and what only the machine's object knows, is not told by the feed.
    refetchInterval: 7000,
  });

export function useCreateHold(org: string, machine: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: CreateHold) =>
      answer(
        api.POST("/v1/orgs/{org}/machines/{machine}/holds", { params: { path: { org, machine } }, body }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: machineKey(org, machine) }),
  });
}

export function useEndHold(org: string, machine: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (hold: string) =>
      answer(
        api.DELETE("/v1/orgs/{org}/machines/{machine}/holds/{hold}", {
          params: { path: { org, machine, hold } },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: machineKey(org, machine) }),
  });
}

// Terminal sessions of a machine: their records, and the address of a session's stream.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { live } from "../feed/live";
import { answer, api } from "./client";
import { machineKey } from "./machines";
import type { CreateTerminal } from "./schema";

export const terminalsQuery = (org: string, machine: string) =>
  queryOptions({
    queryKey: [...machineKey(org, machine), ":terminals"],
    queryFn: async () =>
      (
        await answer(
          api.GET("/v1/orgs/{org}/machines/{machine}/terminals", { params: { path: { org, machine } } }),
        )
      ).terminals,
    refetchInterval: () => live.pace(org, 7000),
  });

export function useCreateTerminal(org: string, machine: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: CreateTerminal) =>
      answer(
        api.POST("/v1/orgs/{org}/machines/{machine}/terminals", { params: { path: { org, machine } }, body }),
      ),
    onSuccess: (terminal) =>
      client.setQueryData(terminalsQuery(org, machine).queryKey, (known) => [...(known ?? []), terminal]),
  });
}

export function useRenameTerminal(org: string, machine: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ terminal, name }: { terminal: string; name: string }) =>
      answer(
        api.PATCH("/v1/orgs/{org}/machines/{machine}/terminals/{terminal}", {
          params: { path: { org, machine, terminal } },
          body: { name },
        }),
      ),
    onSuccess: (renamed) =>
      client.setQueryData(terminalsQuery(org, machine).queryKey, (known) =>
        known?.map((one) => (one.id === renamed.id ? renamed : one)),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: terminalsQuery(org, machine).queryKey }),
  });
}

export function useCloseTerminal(org: string, machine: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (terminal: string) =>
      answer(
        api.DELETE("/v1/orgs/{org}/machines/{machine}/terminals/{terminal}", {
          params: { path: { org, machine, terminal } },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: terminalsQuery(org, machine).queryKey }),
  });
}

/** Where a session's stream is. */
export function streamUrl(org: string, machine: string, terminal: string, wake: boolean): string {
  const path = [org, machine, terminal].map(encodeURIComponent);
  const url = new URL(
    `/v1/orgs/${path[0]}/machines/${path[1]}/terminals/${path[2]}/stream${wake ? "?wake=true" : ""}`,
    window.location.href,
  );
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

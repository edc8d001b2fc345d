// Named ports of a machine.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api } from "./client";
import { machineKey } from "./machines";

export const portsQuery = (org: string, machine: string) =>
  queryOptions({
    queryKey: [...machineKey(org, machine), ":ports"],
    queryFn: async () =>
      (
        await answer(
          api.GET("/v1/orgs/{org}/machines/{machine}/ports", { params: { path: { org, machine } } }),
        )
      ).ports,
  });

export function usePutPort(org: string, machine: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ port, label }: { port: number; label: string }) =>
      answer(
        api.PUT("/v1/orgs/{org}/machines/{machine}/ports/{port}", {
          params: { path: { org, machine, port: String(port) } },
          body: { label },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: portsQuery(org, machine).queryKey }),
  });
}

export function useDeletePort(org: string, machine: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (port: number) =>
      answer(
        api.DELETE("/v1/orgs/{org}/machines/{machine}/ports/{port}", {
          params: { path: { org, machine, port: String(port) } },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: portsQuery(org, machine).queryKey }),
  });
}

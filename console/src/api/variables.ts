// Variables of a machine. A secret's value goes in and never comes out.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api } from "./client";
import { machineKey } from "./machines";
import type { SetVariable } from "./schema";

export const variablesQuery = (org: string, machine: string) =>
  queryOptions({
    queryKey: [...machineKey(org, machine), ":variables"],
    queryFn: async () =>
      (
        await answer(
          api.GET("/v1/orgs/{org}/machines/{machine}/variables", { params: { path: { org, machine } } }),
        )
      ).variables,
  });

function useRefresh(org: string, machine: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: variablesQuery(org, machine).queryKey });
}

export function useSetVariables(org: string, machine: string) {
  const refresh = useRefresh(org, machine);
  return useMutation({
    mutationFn: (variables: SetVariable[]) =>
      answer(
        api.PATCH("/v1/orgs/{org}/machines/{machine}/variables", {
          params: { path: { org, machine } },
          body: { variables },
        }),
      ),
    // Values are not to stay in the cache of what was asked.
    gcTime: 0,
    onSuccess: refresh,
  });
}

export function useDeleteVariable(org: string, machine: string) {
  const refresh = useRefresh(org, machine);
  return useMutation({
    mutationFn: (variable: string) =>
      answer(
        api.DELETE("/v1/orgs/{org}/machines/{machine}/variables/{variable}", {
          params: { path: { org, machine, variable } },
        }),
      ),
    onSuccess: refresh,
  });
}

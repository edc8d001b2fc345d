// Limits of an organization, and how much of them is used.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api } from "./client";
import type { PutQuotas } from "./schema";

export const quotasQuery = (org: string) =>
  queryOptions({
    queryKey: ["orgs", org, "quotas"],
    queryFn: () => answer(api.GET("/v1/orgs/{org}/quotas", { params: { path: { org } } })),
  });

export function useSetQuotas(org: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: PutQuotas) =>
      answer(api.PUT("/v1/orgs/{org}/quotas", { params: { path: { org } }, body })),
    onSuccess: (quotas) => {
      client.setQueryData(quotasQuery(org).queryKey, quotas);
      // Idle times of machines may have been shortened.
      return client.invalidateQueries({ queryKey: ["orgs", org, "machines"] });
    },
  });
}

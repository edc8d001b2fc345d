// Members of an organization.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { accountQuery } from "./accounts";
import { answer, api } from "./client";
import type { CreateMember, Role } from "./schema";

export const membersQuery = (org: string) =>
  queryOptions({
    queryKey: ["orgs", org, "members"],
    queryFn: async () =>
      (await answer(api.GET("/v1/orgs/{org}/members", { params: { path: { org } } }))).members,
  });

function useRefresh(org: string) {
  const client = useQueryClient();
  return () =>
    Promise.all([
      client.invalidateQueries({ queryKey: membersQuery(org).queryKey }),
      client.invalidateQueries({ queryKey: accountQuery.queryKey }),
    ]);
}

export function useAddMember(org: string) {
  const refresh = useRefresh(org);
  return useMutation({
    mutationFn: (body: CreateMember) =>
      answer(api.POST("/v1/orgs/{org}/members", { params: { path: { org } }, body })),
    onSuccess: refresh,
  });
}

export function useChangeRole(org: string) {
  const refresh = useRefresh(org);
  return useMutation({
    mutationFn: ({ account, role }: { account: string; role: Role }) =>
      answer(
        api.PATCH("/v1/orgs/{org}/members/{account}", { params: { path: { org, account } }, body: { role } }),
      ),
    onSettled: refresh,
  });
}

export function useRemoveMember(org: string) {
  const refresh = useRefresh(org);
  return useMutation({
    mutationFn: (account: string) =>
      answer(api.DELETE("/v1/orgs/{org}/members/{account}", { params: { path: { org, account } } })),
    onSuccess: refresh,
  });
}

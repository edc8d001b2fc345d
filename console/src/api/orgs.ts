// Organizations. Which ones the caller belongs to is part of the account.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { accountQuery } from "./accounts";
import { answer, api } from "./client";
import type { CreateOrg } from "./schema";

export function useCreateOrg() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: CreateOrg) => answer(api.POST("/v1/orgs", { body })),
    onSuccess: () => client.refetchQueries({ queryKey: accountQuery.queryKey }),
  });
}

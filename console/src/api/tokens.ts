// Own API tokens.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api } from "./client";
import type { CreateToken } from "./schema";

export const tokensQuery = queryOptions({
  queryKey: ["tokens"],
  queryFn: async () => (await answer(api.GET("/v1/tokens"))).tokens,
});

export function useCreateToken() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: CreateToken) => answer(api.POST("/v1/tokens", { body })),
    onSuccess: () => client.invalidateQueries({ queryKey: tokensQuery.queryKey }),
    // The secret is in the answer: it goes as soon as nobody shows it.
    gcTime: 0,
  });
}

export function useRevokeToken() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (token: string) => answer(api.DELETE("/v1/tokens/{token}", { params: { path: { token } } })),
    onSettled: () => client.invalidateQueries({ queryKey: tokensQuery.queryKey }),
  });
}

// The account that is signed in, and signing up, in and out.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api, isUnauthenticated } from "./client";
import type { Account, CreateAccount, CreateSession } from "./schema";

/** `null` when nobody is signed in. */
export const accountQuery = queryOptions({
  queryKey: ["account"],
  queryFn: async (): Promise<Account | null> => {
    try {
      return await answer(api.GET("/v1/account"));
    } catch (error) {
      if (isUnauthenticated(error)) {
        return null;
      }
      throw error;
    }
  },
  staleTime: 30_000,
});

export function useSignUp() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: CreateAccount) => answer(api.POST("/v1/accounts", { body })),
    onSuccess: (account) => client.setQueryData(accountQuery.queryKey, account),
  });
}

export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: CreateSession) => answer(api.POST("/v1/sessions", { body })),
    onSuccess: (account) => {
      // Nothing of whoever was signed in before may be shown.
      client.clear();
      client.setQueryData(accountQuery.queryKey, account);
    },
  });
}

export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () =>
      answer(api.DELETE("/v1/sessions/{session}", { params: { path: { session: "current" } } })),
    onSuccess: () => {
      client.clear();
      client.setQueryData(accountQuery.queryKey, null);
    },
  });
}

// How questions to the API are kept, repeated and given up.
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { isUnauthenticated, Unreachable } from "./client";

function signedOut(error: unknown): void {
  if (isUnauthenticated(error)) {
    // Whoever shows pages for signed-in people watches this and asks to sign in.
    queryClient.setQueryData(["account"], null);
  }
}

export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: signedOut }),
  mutationCache: new MutationCache({ onError: signedOut }),
  defaultOptions: {
    queries: {
      networkMode: "always",
      staleTime: 2000,
      retry: (_count, error) => error instanceof Unreachable,
      retryDelay: (count) => Math.min(500 * 2 ** count, 5000),
    },
    mutations: { networkMode: "always", retry: false },
  },
});

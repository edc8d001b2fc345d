// Own browser sessions.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api } from "./client";

export const sessionsQuery = queryOptions({
  queryKey: ["sessions"],
  queryFn: async () => (await answer(api.GET("/v1/sessions"))).sessions,
});

export function useRevokeSession() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (session: string) =>
      answer(api.DELETE("/v1/sessions/{session}", { params: { path: { session } } })),
    onSettled: () => client.invalidateQueries({ queryKey: sessionsQuery.queryKey }),
  });
}

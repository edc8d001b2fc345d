// Checkpoints of a machine.
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { checkpointLook } from "../domain/lifecycle";
import { live } from "../feed/live";
import { answer, api } from "./client";
import { machineKey } from "./machines";
import type { Checkpoint, CreateCheckpoint } from "./schema";

export const checkpointsQuery = (org: string, machine: string) =>
  queryOptions({
    queryKey: [...machineKey(org, machine), ":checkpoints"],
    queryFn: () =>
      answer(
        api.GET("/v1/orgs/{org}/machines/{machine}/checkpoints", { params: { path: { org, machine } } }),
      ),
    refetchInterval: (query) =>
      (query.state.data?.checkpoints ?? []).some(({ state }) => checkpointLook(state).unfinished)
        ? 1000
        : live.pace(org, 7000),
  });

// What a restore does shows everywhere on the machine's page.
function useRefresh(org: string, machine: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: machineKey(org, machine) });
}

export function useCreateCheckpoint(org: string, machine: string) {
  const refresh = useRefresh(org, machine);
  return useMutation({
    mutationFn: (body: CreateCheckpoint) =>
      answer(
        api.POST("/v1/orgs/{org}/machines/{machine}/checkpoints", {
          params: { path: { org, machine } },
          body,
        }),
      ),
    onSettled: refresh,
  });
}

/** Deletes one. */
export function useDeleteCheckpoint(org: string, machine: string) {
  const refresh = useRefresh(org, machine);
  return useMutation({
    mutationFn: (checkpoint: string) =>
      answer(
        api.DELETE("/v1/orgs/{org}/machines/{machine}/checkpoints/{checkpoint}", {
          params: { path: { org, machine, checkpoint } },
        }),
      ),
    onSettled: refresh,
  });
}

/** How long a checkpoint of before a restore is waited for. */
const FIRST_MS = 10 * 60_000;

/** Goes back to a checkpoint; `first` is the comment of another one that is made before, and has to succeed. */
export function useRestoreCheckpoint(org: string, machine: string) {
  const client = useQueryClient();
  const refresh = useRefresh(org, machine);
  return useMutation({
    mutationFn: async ({ checkpoint, first }: { checkpoint: string; first: string | null }) => {
      const path = { org, machine };
      if (first !== null) {
        const made = await answer(
          api.POST("/v1/orgs/{org}/machines/{machine}/checkpoints", {
            params: { path },
            body: { comment: first },
          }),
        );
        await until(made, () => client.fetchQuery({ ...checkpointsQuery(org, machine), staleTime: 0 }));
      }
      return answer(
        api.POST("/v1/orgs/{org}/machines/{machine}/checkpoints/{checkpoint}/restore", {
          params: { path: { ...path, checkpoint } },
        }),
      );
    },
    onSettled: refresh,
  });
}

async function until({ id }: Checkpoint, look: () => Promise<{ checkpoints: Checkpoint[] }>): Promise<void> {
  const deadline = Date.now() + FIRST_MS;
  for (;;) {
    const found = (await look()).checkpoints.find((checkpoint) => checkpoint.id === id);
    if (found?.state === "ready") {
      return;
    }
    if (!found || found.state === "failed" || Date.now() > deadline) {
      throw new Error(
        `The checkpoint before the restore was not made, so nothing was restored. ${found?.reason ?? ""} Restore without it, or try again.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
}

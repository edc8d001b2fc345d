// Checkpoints for people.
import type { Checkpoint } from "../api/schema";

/** What a checkpoint is called: `v3`, and what it is for. */
export function checkpointName({ name, comment }: Pick<Checkpoint, "name" | "comment">): string {
  return [name, comment].filter(Boolean).join(" · ") || "the checkpoint";
}

/** Why there can be no other one; `null` when there can. */
export function refuseMore(checkpoints: readonly Checkpoint[], limit: number): string | null {
  const present = checkpoints.filter(({ state }) => state !== "failed").length;
  return present < limit ? null : `There are ${present}, as many as there may be. Delete one first.`;
}

/** Why nothing can be done with them now; `null` when something can. */
export function refuseBusy(checkpoints: readonly Checkpoint[]): string | null {
  switch (checkpoints.find(({ state }) => state !== "ready" && state !== "failed")?.state) {
    case "making":
      return "A checkpoint is being made.";
    case "restoring":
      return "The machine is being restored.";
    case "deleting":
      return "A checkpoint is being deleted.";
    default:
      return null;
  }
}

import { describe, expect, it } from "vitest";
import type { Checkpoint, CheckpointState } from "../api/schema";
import { checkpointName, refuseBusy, refuseMore } from "./checkpoints";

function one(state: CheckpointState): Checkpoint {
  const at = "2026-01-01T00:00:00Z";
  return {
    id: state,
    name: "v1",
    comment: "",
    state,
    reason: "",
    generation: 1,
    created_at: at,
    made_at: at,
  };
}

describe("checkpoints", () => {
  it("have names for people", () => {
    expect(checkpointName({ name: "v3", comment: "before" })).toBe("v3 · before");
    expect(checkpointName({ name: "v3", comment: "" })).toBe("v3");
    expect(checkpointName({ name: null, comment: "" })).toBe("the checkpoint");
  });

  it("are limited, and those that failed do not count", () => {
    expect(refuseMore([one("ready"), one("failed")], 2)).toBeNull();
    expect(refuseMore([one("ready"), one("making")], 2)).toContain("Delete one");
  });

  it("are worked on one at a time", () => {
    expect(refuseBusy([one("ready"), one("failed")])).toBeNull();
    for (const state of ["making", "restoring", "deleting"] as const) {
      expect(refuseBusy([one("ready"), one(state)])).toContain("being");
    }
  });
});

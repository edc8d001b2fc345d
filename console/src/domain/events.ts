// What happens to machines: the words that people see.

export interface EventLook {
  word: string;
  color: string;
  icon: "made" | "awake" | "asleep" | "stopped" | "failed" | "gone" | "held" | "kept" | "agent" | "other";
}

const LOOKS: Record<string, EventLook> = {
  created: { word: "Created", color: "teal", icon: "made" },
  creating: { word: "Being created", color: "blue", icon: "made" },
  waking: { word: "Waking", color: "blue", icon: "awake" },
  running: { word: "Running", color: "teal", icon: "awake" },
  hibernating: { word: "Hibernating", color: "indigo", icon: "asleep" },
  hibernated: { word: "Hibernated", color: "indigo", icon: "asleep" },
  stopping: { word: "Stopping", color: "gray", icon: "stopped" },
  stopped: { word: "Stopped", color: "gray", icon: "stopped" },
  failed: { word: "Failed", color: "red", icon: "failed" },
  deleting: { word: "Deletion", color: "orange", icon: "gone" },
  hold_taken: { word: "Hold taken", color: "grape", icon: "held" },
  hold_ended: { word: "Hold ended early", color: "grape", icon: "held" },
  holds_over: { word: "Holds over", color: "grape", icon: "held" },
  checkpoint_made: { word: "Checkpoint made", color: "teal", icon: "kept" },
  checkpoint_failed: { word: "Checkpoint failed", color: "red", icon: "failed" },
  checkpoint_deleted: { word: "Checkpoint deleted", color: "gray", icon: "kept" },
  checkpoint_kept: { word: "Checkpoint not deleted", color: "orange", icon: "kept" },
  restoring: { word: "Restore ordered", color: "blue", icon: "kept" },
  restored: { word: "Restored", color: "teal", icon: "kept" },
  restore_failed: { word: "Restore failed", color: "red", icon: "failed" },
  limited: { word: "Provider's limit", color: "orange", icon: "failed" },
  refused: { word: "Wake refused", color: "orange", icon: "failed" },
  set_up: { word: "Set up", color: "teal", icon: "made" },
  setup_stopped: { word: "Setup stopped", color: "orange", icon: "failed" },
  setup_failed: { word: "Setup failed", color: "red", icon: "failed" },
  agent: { word: "Agent", color: "cyan", icon: "agent" },
};

/** Kinds that can be chosen, in the order of a machine's life. */
export const EVENT_KINDS: readonly { value: string; label: string }[] = Object.entries(LOOKS).map(
  ([value, { word }]) => ({ value, label: word }),
);

export function eventLook(kind: string): EventLook {
  const known = LOOKS[kind] ?? (kind.startsWith("agent") ? LOOKS.agent : undefined);
  return known ?? { word: sentence(kind), color: "gray", icon: "other" };
}

const CAUSES: Record<string, string> = {
  hand: "by hand",
  api: "over the API",
  terminal: "for a terminal",
  request: "for a request to an app",
  command: "for a command",
  service: "for a service",
  hold: "for a hold",
  idle: "nothing happened for a while",
  runtime: "by the runtime",
  agent: "by its agent",
  platform: "by SnapVM",
};

/** Why it happened, beside who did it; `null` when it is not known. */
export function causeWords(cause: string | null | undefined): string | null {
  return cause ? (CAUSES[cause] ?? cause) : null;
}

function sentence(kind: string): string {
  const words = kind.replaceAll("_", " ");
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

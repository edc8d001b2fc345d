// States of machines and services: the words people see, whether they are on the way to another one, and what can be
// asked of a machine in them.
import type { CheckpointState, MachineState, ServiceState } from "../api/schema";

export interface StateLook {
  word: string;
  color: string;
  /** It ends by itself. */
  unfinished: boolean;
}

const MACHINE: Record<MachineState, StateLook> = {
  creating: { word: "Creating", color: "blue", unfinished: true },
  running: { word: "Running", color: "teal", unfinished: false },
  hibernating: { word: "Hibernating", color: "indigo", unfinished: true },
  hibernated: { word: "Hibernated", color: "indigo", unfinished: false },
  waking: { word: "Waking", color: "blue", unfinished: true },
  stopping: { word: "Stopping", color: "gray", unfinished: true },
  stopped: { word: "Stopped", color: "gray", unfinished: false },
  failed: { word: "Failed", color: "red", unfinished: false },
  deleting: { word: "Deleting", color: "orange", unfinished: true },
};

const SERVICE: Record<ServiceState, StateLook> = {
  stopped: { word: "Stopped", color: "gray", unfinished: false },
  starting: { word: "Starting", color: "blue", unfinished: true },
  running: { word: "Running", color: "teal", unfinished: false },
  stopping: { word: "Stopping", color: "gray", unfinished: true },
  failed: { word: "Failed", color: "red", unfinished: false },
};

const CHECKPOINT: Record<CheckpointState, StateLook> = {
  making: { word: "Making", color: "blue", unfinished: true },
  ready: { word: "Ready", color: "teal", unfinished: false },
  restoring: { word: "Restoring", color: "blue", unfinished: true },
  deleting: { word: "Deleting", color: "orange", unfinished: true },
  failed: { word: "Failed", color: "red", unfinished: false },
};

export function checkpointLook(state: CheckpointState): StateLook {
  return CHECKPOINT[state];
}

export function machineLook(state: MachineState): StateLook {
  return MACHINE[state];
}

export function serviceLook(state: ServiceState): StateLook {
  return SERVICE[state];
}

export type MachineOrder = "start" | "hibernate" | "stop";

/** Why the order makes no sense now; `null` when it does. */
export function refuseOrder(order: MachineOrder, state: MachineState): string | null {
  if (state === "deleting") return "The machine is being deleted.";
  if (state === "creating") return "The machine is still being created.";
  switch (order) {
    case "start":
      if (state === "running") return "The machine is running.";
      if (state === "waking") return "The machine is waking already.";
      return null;
    case "hibernate":
      if (state === "hibernated" || state === "hibernating") return "The machine sleeps already.";
      if (state === "stopped" || state === "stopping") return "The machine is stopped.";
      if (state === "failed") return "The machine failed: start it first.";
      return null;
    case "stop":
      if (state === "stopped" || state === "stopping") return "The machine is stopped already.";
      return null;
  }
}

/** Milliseconds between two looks at machines: often while something is on its way. */
export function pollInterval(states: readonly MachineState[]): number {
  return states.some((state) => MACHINE[state].unfinished) ? 2000 : 7000;
}

// Holds: how long one may last, and whether a machine in a state takes one.
import type { MachineState } from "../api/schema";

/** Most minutes ahead that a hold may end: a day. */
export const HOLD_MINUTES_MAX = 1440;
/** Most characters of its reason. */
export const HOLD_REASON_MAX = 200;

/** Minutes until nine in the morning of the next day, or a day if that is further away. */
export function minutesUntilTomorrow(now: Date): number {
  const nine = new Date(now);
  nine.setDate(nine.getDate() + 1);
  nine.setHours(9, 0, 0, 0);
  return Math.min(Math.ceil((nine.getTime() - now.getTime()) / 60_000), HOLD_MINUTES_MAX);
}

/** Why a machine cannot be kept awake now; `null` when it can. */
export function refuseHold(state: MachineState): string | null {
  if (state === "stopped" || state === "stopping") return "The machine is stopped: start it first.";
  if (state === "deleting") return "The machine is being deleted.";
  return null;
}

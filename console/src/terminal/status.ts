// What the connection of a terminal is doing, and what a WebSocket's close code means for it.
import type { TerminalEnd } from "../api/schema";

export type Status =
  | { is: "connecting" }
  | { is: "waking" }
  | { is: "live" }
  | { is: "sleeping" }
  | { is: "asleep" }
  | { is: "waiting"; attempt: number }
  | { is: "failed"; reason: string }
  | { is: "ended"; end: TerminalEnd }
  | { is: "closed"; why: Refusal };

export type Refusal = "sign-in" | "forbidden" | "gone" | "replaced";

export const CLOSE_ASLEEP = 4410;

/** Close codes after which trying again by itself makes no sense. */
export function refusal(code: number): Refusal | null {
  switch (code) {
    case 4401:
      return "sign-in";
    case 4403:
      return "forbidden";
    case 4404:
      return "gone";
    case 4409:
      return "replaced";
    default:
      return null;
  }
}

/** Milliseconds before the given attempt to connect again, the first being 0. */
export function backoff(attempt: number): number {
  return Math.min(200 * 2 ** attempt, 5000);
}

/** How a shell ended, for people. */
export function describeEnd(end: TerminalEnd): string {
  switch (end.by) {
    case "exit":
      return `The shell exited with code ${end.code}.`;
    case "signal":
      return `The shell was ended by signal ${end.signal}.`;
    case "lost":
      return "The shell went with the machine's memory when it slept. Files are still there.";
  }
}

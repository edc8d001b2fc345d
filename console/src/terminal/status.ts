// What the connection of a terminal is doing, and what a WebSocket's close code means for it.
import type { TerminalEnd } from "../api/schema";

export type Status =
  | { is: "connecting" }
  | { is: "waking" }
  | { is: "live" }
  | { is: "sleeping" }
  /** `since`: when the screen that is shown was kept, Unix ms. */
  | { is: "asleep"; since: number | null }
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

const SIGNALS: Record<number, string> = {
  1: "HUP",
  2: "INT",
  3: "QUIT",
  6: "ABRT",
  9: "KILL",
  11: "SEGV",
  15: "TERM",
};

function describeSignal(signal: number): string {
  const name = SIGNALS[signal];
  return name ? `${signal} (${name})` : String(signal);
}

/** How a shell ended, for people. */
export function describeEnd(end: TerminalEnd): string {
  switch (end.by) {
    case "exit":
      return `The shell exited with code ${end.code}.`;
    case "signal":
      return `The shell was ended by signal ${describeSignal(end.signal)}.`;
    case "lost":
      return "The machine slept without keeping its memory, so this shell is gone. Files are still there.";
    case "restored":
      return "The machine was restored to an earlier checkpoint, and this shell ended with it.";
  }
}

/** That an idle machine goes to sleep in so many milliseconds, for people. */
export function describeIdle(inMs: number): string {
  const seconds = Math.ceil(inMs / 1000);
  const when = seconds > 0 ? `in ${seconds} s` : "any moment";
  return `Nobody has used this machine for a while: it goes to sleep ${when}.`;
}

/** Bytes for people: `812 bytes`, `64 KiB`, `1.5 MiB`. */
export function describeBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

// Frames of a terminal session (sub-protocol `snapvm.terminal.v1`): the client's side of protocol/src/terminal.rs.
// Every frame is one binary message: a type byte and a payload, numbers big-endian. What they are, and how those that a
// client sends are written; `decode.ts` reads the others. No DOM, no state.
import type { TerminalEnd } from "../api/schema";

export const SUBPROTOCOL = "snapvm.terminal.v1";
export const FRAME_MAX = 64 * 1024;
export const INPUT_MAX = 16 * 1024;
export const SIZE_MAX = 1000;
/** Longest snapshot of a living shell's screen. */
export const SNAPSHOT_MAX = 1024 * 1024;
/** Longest screen that is kept while the machine sleeps. */
export const KEPT_MAX = 256 * 1024;
/** Most bytes of either in one frame. */
export const PART_MAX = 32 * 1024;
/** Most people that a notice names. */
export const PEOPLE_MAX = 50;

/** `bytes`: exactly what the shell wrote. `screen`: a snapshot where that is shorter, and no queries in what is old. */
export type Follow = "bytes" | "screen";

export interface Attach {
  columns: number;
  rows: number;
  /** Random per tab: input numbers count within it. */
  key: string;
  epoch?: number;
  /** The next offset wanted. */
  offset?: number;
  follow: Follow;
  /** Whether we are to be told what runs in the foreground. */
  foreground: boolean;
}

/** What runs in a terminal's foreground. */
export interface Foreground {
  /** Whether something does; otherwise the shell waits for a command. */
  running: boolean;
  /** Its name, where that can be known. */
  command: string | null;
}

export interface Ready {
  epoch: number;
  /** The offset that the next output frame starts at. */
  offset: number;
  /** The highest input number applied for our key. */
  input: number;
  reset: boolean;
  /** The stream's end when this was said: output before it is history. */
  live: number;
  /** A snapshot follows before any output, and stands for everything before `offset`. */
  snapshot: SnapshotHead | null;
  /** Whether the terminal has our size. */
  owner: boolean;
  columns: number;
  rows: number;
  end: TerminalEnd | null;
}

export interface SnapshotHead {
  bytes: number;
  /** Lines of scrollback that were left out, oldest first. */
  dropped_lines: number;
}

/** The last screen of a session whose machine sleeps. */
export interface KeptHead {
  epoch: number;
  /** Output goes on here if the shell lives. */
  offset: number;
  columns: number;
  rows: number;
  /** The shell's working directory then. */
  directory: string | null;
  bytes: number;
  /** When it was taken, Unix ms. */
  at_ms: number | null;
}

/** Somebody who has the session open. */
export interface Person {
  name: string;
  write: boolean;
  windows: number;
  you: boolean;
}

export type Notice =
  | { is: "waking" }
  | { is: "connected" }
  | { is: "asleep" }
  | { is: "sleeping" }
  | { is: "people"; people: Person[] }
  | { is: "failed"; reason: string }
  /** Nobody has used the machine for a while: it goes to sleep in about so many milliseconds unless somebody does. */
  | { is: "idle_soon"; in_ms: number }
  /** It does not after all. */
  | { is: "idle_over" };

/** What a client may receive. */
export type Received =
  | { type: "ready"; ready: Ready }
  | { type: "output"; offset: number; bytes: Uint8Array }
  | { type: "input-acknowledge"; number: number }
  | { type: "truncated"; from: number; to: number }
  | { type: "end"; end: TerminalEnd }
  | { type: "size"; columns: number; rows: number; owner: boolean }
  | { type: "snapshot-part"; position: number; bytes: Uint8Array }
  | { type: "foreground"; foreground: Foreground }
  | { type: "kept"; head: KeptHead }
  | { type: "kept-part"; position: number; bytes: Uint8Array }
  | { type: "notice"; notice: Notice };

export class InvalidFrame extends Error {
  override name = "InvalidFrame";
}

const utf8 = new TextEncoder();

export function clampSize(value: number): number {
  return Math.min(Math.max(Math.trunc(value) || 1, 1), SIZE_MAX);
}

export function encodeAttach(attach: Attach): Uint8Array<ArrayBuffer> {
  const json = utf8.encode(
    JSON.stringify({ ...attach, columns: clampSize(attach.columns), rows: clampSize(attach.rows) }),
  );
  const frame = new Uint8Array(1 + json.length);
  frame[0] = 0x01;
  frame.set(json, 1);
  return frame;
}

export function encodeInput(number: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length > INPUT_MAX) {
    throw new InvalidFrame(`input of ${bytes.length} bytes is longer than ${INPUT_MAX}`);
  }
  const frame = new Uint8Array(5 + bytes.length);
  frame[0] = 0x02;
  new DataView(frame.buffer).setUint32(1, number);
  frame.set(bytes, 5);
  return frame;
}

export function encodeAcknowledge(offset: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(9);
  frame[0] = 0x03;
  new DataView(frame.buffer).setBigUint64(1, BigInt(offset));
  return frame;
}

export function encodeResize(columns: number, rows: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(5);
  frame[0] = 0x04;
  const view = new DataView(frame.buffer);
  view.setUint16(1, clampSize(columns));
  view.setUint16(3, clampSize(rows));
  return frame;
}

// Frames of a terminal session (sub-protocol `snapvm.terminal.v1`): the client's side of protocol/src/terminal.rs.
// Every frame is one binary message: a type byte and a payload, numbers big-endian. No DOM, no state.
import type { TerminalEnd } from "../api/schema";

export const SUBPROTOCOL = "snapvm.terminal.v1";
export const FRAME_MAX = 64 * 1024;
export const INPUT_MAX = 16 * 1024;
export const RING_BYTES = 2 * 1024 * 1024;
export const SIZE_MAX = 1000;

export interface Attach {
  columns: number;
  rows: number;
  /** Random per tab: input numbers count within it. */
  key: string;
  epoch?: number;
  /** The next offset wanted. */
  offset?: number;
}

export interface Ready {
  epoch: number;
  /** The offset that the next output frame starts at. */
  offset: number;
  /** The highest input number applied for our key. */
  input: number;
  reset: boolean;
  columns: number;
  rows: number;
  end?: TerminalEnd | null;
}

export type Notice =
  | { is: "waking" }
  | { is: "connected" }
  | { is: "asleep" }
  | { is: "sleeping" }
  | { is: "failed"; reason: string };

/** What a client may receive. */
export type Received =
  | { type: "ready"; ready: Ready }
  | { type: "output"; offset: number; bytes: Uint8Array }
  | { type: "input-acknowledge"; number: number }
  | { type: "truncated"; from: number; to: number }
  | { type: "end"; end: TerminalEnd }
  | { type: "size"; columns: number; rows: number }
  | { type: "notice"; notice: Notice };

export class InvalidFrame extends Error {
  override name = "InvalidFrame";
}

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

function clampSize(value: number): number {
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

/** Reads one frame. Throws {@link InvalidFrame} for anything that is not one of ours. */
export function decode(message: ArrayBuffer): Received {
  if (message.byteLength === 0) {
    throw new InvalidFrame("the frame is cut short");
  }
  if (message.byteLength > FRAME_MAX) {
    throw new InvalidFrame(`the frame is longer than ${FRAME_MAX} bytes`);
  }
  const view = new DataView(message);
  const kind = view.getUint8(0);
  switch (kind) {
    case 0x11:
      return { type: "ready", ready: readReady(readJson(message)) };
    case 0x12:
      expectAtLeast(view, 9);
      return { type: "output", offset: readOffset(view, 1), bytes: new Uint8Array(message, 9) };
    case 0x13:
      expectExactly(view, 5);
      return { type: "input-acknowledge", number: view.getUint32(1) };
    case 0x14:
      expectExactly(view, 17);
      return { type: "truncated", from: readOffset(view, 1), to: readOffset(view, 9) };
    case 0x15:
      return { type: "end", end: readEnd(readJson(message)) };
    case 0x16:
      expectExactly(view, 6);
      return { type: "size", columns: clampSize(view.getUint16(1)), rows: clampSize(view.getUint16(3)) };
    case 0x21:
      return { type: "notice", notice: readNotice(readJson(message)) };
    default:
      throw new InvalidFrame(`the frame's type ${kind} is unknown`);
  }
}

function expectAtLeast(view: DataView, length: number): void {
  if (view.byteLength < length) {
    throw new InvalidFrame("the frame is cut short");
  }
}

function expectExactly(view: DataView, length: number): void {
  expectAtLeast(view, length);
  if (view.byteLength !== length) {
    throw new InvalidFrame("the frame's payload is malformed");
  }
}

// A shell would have to write for centuries to pass what a number holds exactly.
function readOffset(view: DataView, at: number): number {
  const offset = view.getBigUint64(at);
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new InvalidFrame("the frame's offset is out of range");
  }
  return Number(offset);
}

function readJson(message: ArrayBuffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text.decode(new Uint8Array(message, 1)));
  } catch {
    throw new InvalidFrame("the frame's payload is malformed");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidFrame("the frame's payload is malformed");
  }
  return value as Record<string, unknown>;
}

function number(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    throw new InvalidFrame("the frame's payload is malformed");
  }
  return value;
}

function readReady(json: Record<string, unknown>): Ready {
  if (typeof json.reset !== "boolean") {
    throw new InvalidFrame("the frame's payload is malformed");
  }
  return {
    epoch: number(json.epoch),
    offset: number(json.offset),
    input: number(json.input),
    reset: json.reset,
    columns: number(json.columns),
    rows: number(json.rows),
    end: json.end == null ? null : readEnd(json.end as Record<string, unknown>),
  };
}

function readEnd(json: Record<string, unknown>): TerminalEnd {
  switch (json.by) {
    case "exit":
      return { by: "exit", code: number(json.code) };
    case "signal":
      return { by: "signal", signal: number(json.signal) };
    case "lost":
      return { by: "lost" };
    default:
      throw new InvalidFrame("the frame's payload is malformed");
  }
}

function readNotice(json: Record<string, unknown>): Notice {
  switch (json.is) {
    case "waking":
    case "connected":
    case "asleep":
    case "sleeping":
      return { is: json.is };
    case "failed":
      return { is: "failed", reason: typeof json.reason === "string" ? json.reason : "" };
    default:
      throw new InvalidFrame("the frame's payload is malformed");
  }
}

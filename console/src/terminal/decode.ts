// Reads the frames that a client receives. Everything is checked and bounded: what does not fit is refused whole.
import type { TerminalEnd } from "../api/schema";
import {
  clampSize,
  type Foreground,
  FRAME_MAX,
  InvalidFrame,
  KEPT_MAX,
  type KeptHead,
  type Notice,
  PART_MAX,
  PEOPLE_MAX,
  type Person,
  type Ready,
  type Received,
  SNAPSHOT_MAX,
  type SnapshotHead,
} from "./frames";

const text = new TextDecoder("utf-8", { fatal: true });

type Json = Record<string, unknown>;

/**
 * Reads one frame. Throws {@link InvalidFrame} for one that is not as it should be; `null` for one of a type, or with a
 * notice, that only a newer SnapVM knows: those are left out.
 */
export function decode(message: ArrayBuffer): Received | null {
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
      return {
        type: "size",
        columns: clampSize(view.getUint16(1)),
        rows: clampSize(view.getUint16(3)),
        owner: readFlag(view.getUint8(5)),
      };
    case 0x17:
      return { type: "snapshot-part", ...readPart(message, view, SNAPSHOT_MAX) };
    case 0x18:
      return { type: "foreground", foreground: readForeground(readJson(message)) };
    case 0x21: {
      const notice = readNotice(readJson(message));
      return notice && { type: "notice", notice };
    }
    case 0x22:
      return { type: "kept", head: readKept(readJson(message)) };
    case 0x23:
      return { type: "kept-part", ...readPart(message, view, KEPT_MAX) };
    default:
      return null;
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
    throw malformed();
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

function readFlag(byte: number): boolean {
  if (byte > 1) {
    throw malformed();
  }
  return byte === 1;
}

function readPart(
  message: ArrayBuffer,
  view: DataView,
  most: number,
): { position: number; bytes: Uint8Array } {
  expectAtLeast(view, 5);
  const position = view.getUint32(1);
  const bytes = new Uint8Array(message, 5);
  if (bytes.length > PART_MAX || position + bytes.length > most) {
    throw new InvalidFrame("the part is too long");
  }
  return { position, bytes };
}

function malformed(): InvalidFrame {
  return new InvalidFrame("the frame's payload is malformed");
}

function readJson(message: ArrayBuffer): Json {
  try {
    return object(JSON.parse(text.decode(new Uint8Array(message, 1))));
  } catch {
    throw malformed();
  }
}

function object(value: unknown): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformed();
  }
  return value as Json;
}

function number(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw malformed();
  }
  return value;
}

function integer(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    throw malformed();
  }
  return value;
}

function boolean(value: unknown): boolean {
  if (typeof value !== "boolean") {
    throw malformed();
  }
  return value;
}

function string(value: unknown): string {
  if (typeof value !== "string") {
    throw malformed();
  }
  return value;
}

/** What is absent or null is null. */
function optional<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value == null ? null : read(value);
}

function length(value: unknown, most: number): number {
  const bytes = number(value);
  if (bytes > most) {
    throw new InvalidFrame("the screen is too long");
  }
  return bytes;
}

function readReady(json: Json): Ready {
  return {
    epoch: number(json.epoch),
    offset: number(json.offset),
    input: number(json.input),
    reset: boolean(json.reset),
    live: number(json.live),
    snapshot: optional(json.snapshot, readSnapshot),
    owner: boolean(json.owner),
    columns: clampSize(number(json.columns)),
    rows: clampSize(number(json.rows)),
    end: optional(json.end, (end) => readEnd(object(end))),
  };
}

function readSnapshot(value: unknown): SnapshotHead {
  const json = object(value);
  return { bytes: length(json.bytes, SNAPSHOT_MAX), dropped_lines: number(json.dropped_lines) };
}

function readKept(json: Json): KeptHead {
  return {
    epoch: number(json.epoch),
    offset: number(json.offset),
    columns: clampSize(number(json.columns)),
    rows: clampSize(number(json.rows)),
    directory: optional(json.directory, string),
    bytes: length(json.bytes, KEPT_MAX),
    at_ms: optional(json.at_ms, number),
  };
}

function readEnd(json: Json): TerminalEnd {
  switch (json.by) {
    case "exit":
      return { by: "exit", code: integer(json.code) };
    case "signal":
      return { by: "signal", signal: integer(json.signal) };
    case "lost":
      return { by: "lost" };
    case "restored":
      return { by: "restored" };
    default:
      throw malformed();
  }
}

function readForeground(json: Json): Foreground {
  return { running: boolean(json.running), command: optional(json.command, string) };
}

function readPerson(value: unknown): Person {
  const json = object(value);
  return {
    name: string(json.name),
    write: boolean(json.write),
    windows: number(json.windows),
    you: boolean(json.you),
  };
}

function readNotice(json: Json): Notice | null {
  const is = string(json.is);
  switch (is) {
    case "waking":
    case "connected":
    case "asleep":
    case "sleeping":
    case "idle_over":
      return { is };
    case "idle_soon":
      return { is, in_ms: number(json.in_ms) };
    case "people":
      if (!Array.isArray(json.people)) {
        throw malformed();
      }
      return { is, people: json.people.slice(0, PEOPLE_MAX).map(readPerson) };
    case "failed":
      return { is, reason: typeof json.reason === "string" ? json.reason : "" };
    default:
      return null;
  }
}

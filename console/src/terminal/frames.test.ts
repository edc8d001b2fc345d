import { describe, expect, it } from "vitest";
import { decode } from "./decode";
import {
  encodeAcknowledge,
  encodeAttach,
  encodeInput,
  encodeResize,
  FRAME_MAX,
  INPUT_MAX,
  InvalidFrame,
  KEPT_MAX,
  PART_MAX,
  SNAPSHOT_MAX,
} from "./frames";

function json(kind: number, value: unknown): ArrayBuffer {
  const body = new TextEncoder().encode(JSON.stringify(value));
  const frame = new Uint8Array(1 + body.length);
  frame[0] = kind;
  frame.set(body, 1);
  return frame.buffer;
}

function bytes(...values: number[]): ArrayBuffer {
  return Uint8Array.from(values).buffer;
}

describe("what a client sends", () => {
  it("attaches with JSON and leaves out what it does not know", () => {
    const frame = encodeAttach({ columns: 80, rows: 5000, key: "k", follow: "screen", foreground: true });
    expect(frame[0]).toBe(0x01);
    expect(JSON.parse(new TextDecoder().decode(frame.subarray(1)))).toEqual({
      columns: 80,
      rows: 1000,
      key: "k",
      follow: "screen",
      foreground: true,
    });
  });

  it("writes numbers big-endian", () => {
    expect([...encodeInput(0x01020304, Uint8Array.of(0x61))]).toEqual([0x02, 1, 2, 3, 4, 0x61]);
    expect([...encodeAcknowledge(2 ** 32 + 1)]).toEqual([0x03, 0, 0, 0, 1, 0, 0, 0, 1]);
    expect([...encodeResize(258, 24)]).toEqual([0x04, 1, 2, 0, 24]);
    expect([...encodeResize(0, 9999)]).toEqual([0x04, 0, 1, 3, 232]);
  });

  it("refuses input that no frame holds", () => {
    expect(() => encodeInput(1, new Uint8Array(INPUT_MAX + 1))).toThrow(InvalidFrame);
  });
});

const READY = {
  epoch: 7,
  offset: 1,
  input: 2,
  reset: true,
  live: 9,
  snapshot: null,
  owner: false,
  columns: 80,
  rows: 24,
  end: null,
};
const KEPT = {
  epoch: 7,
  offset: 1,
  columns: 80,
  rows: 24,
  directory: "/root",
  bytes: 3,
  at_ms: 1_700_000_000_000,
};

describe("what a client receives", () => {
  it("reads every frame", () => {
    expect(decode(json(0x11, READY))).toEqual({ type: "ready", ready: READY });
    const more = { ...READY, snapshot: { bytes: 5, dropped_lines: 1 }, end: { by: "exit", code: 3 } };
    expect(decode(json(0x11, more))).toEqual({ type: "ready", ready: more });
    expect(decode(bytes(0x12, 0, 0, 0, 0, 0, 0, 1, 0, 0x68, 0x69))).toEqual({
      type: "output",
      offset: 256,
      bytes: Uint8Array.of(0x68, 0x69),
    });
    expect(decode(bytes(0x13, 0, 0, 0, 9))).toEqual({ type: "input-acknowledge", number: 9 });
    expect(decode(bytes(0x14, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2))).toEqual({
      type: "truncated",
      from: 1,
      to: 2,
    });
    expect(decode(json(0x15, { by: "signal", signal: 9 }))).toEqual({
      type: "end",
      end: { by: "signal", signal: 9 },
    });
    expect(decode(json(0x15, { by: "lost" }))).toEqual({ type: "end", end: { by: "lost" } });
    expect(decode(bytes(0x16, 0, 80, 0, 24, 1))).toEqual({
      type: "size",
      columns: 80,
      rows: 24,
      owner: true,
    });
    expect(decode(bytes(0x17, 0, 0, 1, 0, 0x61))).toEqual({
      type: "snapshot-part",
      position: 256,
      bytes: Uint8Array.of(0x61),
    });
    expect(decode(json(0x21, { is: "failed", reason: "no" }))).toEqual({
      type: "notice",
      notice: { is: "failed", reason: "no" },
    });
    const people = [{ name: "Ada", write: true, windows: 2, you: false }];
    expect(decode(json(0x21, { is: "people", people }))).toEqual({
      type: "notice",
      notice: { is: "people", people },
    });
    expect(decode(json(0x22, KEPT))).toEqual({ type: "kept", head: KEPT });
    const { directory: _, at_ms: __, ...least } = KEPT;
    expect(decode(json(0x22, least))).toEqual({
      type: "kept",
      head: { ...KEPT, directory: null, at_ms: null },
    });
    expect(decode(bytes(0x23, 0, 0, 0, 1, 0x61))).toEqual({
      type: "kept-part",
      position: 1,
      bytes: Uint8Array.of(0x61),
    });
  });

  it("refuses what is malformed", () => {
    const part = (kind: number, position: number, length: number) => {
      const frame = new Uint8Array(5 + length);
      frame[0] = kind;
      new DataView(frame.buffer).setUint32(1, position);
      return frame.buffer;
    };
    for (const wrong of [
      bytes(),
      bytes(0x12, 0, 0),
      bytes(0x12, 0xff, 0, 0, 0, 0, 0, 0, 0),
      bytes(0x13, 0, 0, 0, 1, 1),
      bytes(0x14, 0),
      bytes(0x11, 0x7b),
      json(0x11, {}),
      json(0x11, []),
      json(0x11, { ...READY, live: -1 }),
      json(0x11, { ...READY, owner: undefined }),
      json(0x11, { ...READY, snapshot: { bytes: SNAPSHOT_MAX + 1, dropped_lines: 0 } }),
      json(0x15, { by: "magic" }),
      bytes(0x16, 0, 80, 0, 24, 2),
      bytes(0x16, 0, 80, 0, 24),
      part(0x17, 0, PART_MAX + 1),
      part(0x17, SNAPSHOT_MAX, 1),
      json(0x21, { is: 1 }),
      json(0x21, { is: "people", people: [{ name: 1 }] }),
      json(0x22, { ...KEPT, bytes: KEPT_MAX + 1 }),
      part(0x23, KEPT_MAX, 1),
      new ArrayBuffer(FRAME_MAX + 1),
    ]) {
      expect(() => decode(wrong)).toThrow(InvalidFrame);
    }
  });

  it("leaves out what only a newer SnapVM knows", () => {
    expect(decode(bytes(0xff))).toBeNull();
    expect(decode(json(0x21, { is: "something", new: true }))).toBeNull();
  });

  it("names no more people than a page can", () => {
    const people = Array.from({ length: 80 }, () => ({ name: "A", write: false, windows: 1, you: false }));
    expect(decode(json(0x21, { is: "people", people }))).toMatchObject({
      notice: { people: { length: 50 } },
    });
  });
});

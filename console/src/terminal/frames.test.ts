import { describe, expect, it } from "vitest";
import {
  decode,
  encodeAcknowledge,
  encodeAttach,
  encodeInput,
  encodeResize,
  FRAME_MAX,
  INPUT_MAX,
  InvalidFrame,
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
    const frame = encodeAttach({ columns: 80, rows: 5000, key: "k" });
    expect(frame[0]).toBe(0x01);
    expect(JSON.parse(new TextDecoder().decode(frame.subarray(1)))).toEqual({
      columns: 80,
      rows: 1000,
      key: "k",
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

describe("what a client receives", () => {
  it("reads every frame", () => {
    const ready = { epoch: 7, offset: 1, input: 2, reset: true, columns: 80, rows: 24, end: null };
    expect(decode(json(0x11, ready))).toEqual({ type: "ready", ready });
    expect(decode(json(0x11, { ...ready, end: { by: "exit", code: 3 } }))).toMatchObject({
      ready: { end: { by: "exit", code: 3 } },
    });
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
    expect(decode(bytes(0x16, 0, 80, 0, 24, 1))).toEqual({ type: "size", columns: 80, rows: 24 });
    expect(decode(json(0x21, { is: "failed", reason: "no" }))).toEqual({
      type: "notice",
      notice: { is: "failed", reason: "no" },
    });
  });

  it("refuses what is malformed", () => {
    for (const wrong of [
      bytes(),
      bytes(0xff),
      bytes(0x02, 0, 0, 0, 1),
      bytes(0x12, 0, 0),
      bytes(0x12, 0xff, 0, 0, 0, 0, 0, 0, 0),
      bytes(0x13, 0, 0, 0, 1, 1),
      bytes(0x14, 0),
      bytes(0x11, 0x7b),
      json(0x11, {}),
      json(0x11, []),
      json(0x15, { by: "magic" }),
      json(0x21, { is: "nothing" }),
      new ArrayBuffer(FRAME_MAX + 1),
    ]) {
      expect(() => decode(wrong)).toThrow(InvalidFrame);
    }
  });
});

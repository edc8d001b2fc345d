import { describe, expect, it } from "vitest";
import { append, EMPTY, LINES_MAX, note, prepend } from "./buffer";
import { EVENT_MAX, EventReader } from "./events";

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => ({ at: null, text: String(from + at) }));

const texts = (buffer: typeof EMPTY) =>
  buffer.blocks.flatMap((block) => block.lines.map((line) => line.text));

describe("the lines of a page", () => {
  it("keep their order and their blocks", () => {
    const begun = append(EMPTY, lines(500, 750), null);
    const more = append(begun, lines(750, 1100), { at: null, text: "open" });
    expect(more.blocks[0]).toBe(begun.blocks[0]);
    const whole = prepend(more, lines(0, 500));
    expect(texts(whole)).toEqual(lines(0, 1100).map((line) => line.text));
    expect([whole.count, whole.arrived, whole.partial?.text, whole.trimmed]).toEqual([
      1100,
      600,
      "open",
      false,
    ]);
    const ids = whole.blocks.map((block) => block.id);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
  });

  it("have notes between them, which are no lines that came", () => {
    const noted = append(note(append(EMPTY, lines(0, 2), null), "gap"), lines(5, 6), null);
    expect(noted.blocks.flatMap((block) => block.lines).map(({ text, note }) => [text, note])).toEqual([
      ["0", undefined],
      ["1", undefined],
      ["gap", true],
      ["5", undefined],
    ]);
    expect(noted.arrived).toBe(3);
  });

  it("are bounded, and say so", () => {
    let buffer = EMPTY;
    for (let at = 0; at < 60_000; at += 777) {
      buffer = append(buffer, lines(at, Math.min(at + 777, 60_000)), null);
      expect(buffer.count).toBeLessThanOrEqual(LINES_MAX);
    }
    expect([buffer.trimmed, texts(buffer).at(-1)]).toEqual([true, "59999"]);
    expect(buffer.count).toBeGreaterThan(LINES_MAX - 400);
    const full = prepend(append(EMPTY, lines(100, LINES_MAX), null), lines(-900, 100));
    expect([full.count, full.trimmed, texts(full)[0]]).toEqual([LINES_MAX, true, "0"]);
  });
});

describe("events", () => {
  it("are read however they are cut", () => {
    const text =
      'event: lines\ndata: {"a":1}\n\n: alive\n\ndata: one\ndata: two\n\nevent: end\ndata: {}\n\nevent: cut';
    const wanted = [
      { name: "lines", data: '{"a":1}' },
      { name: "message", data: "one\ntwo" },
      { name: "end", data: "{}" },
    ];
    for (const size of [1, 2, 7, 1000]) {
      const reader = new EventReader();
      const found = [];
      for (let at = 0; at < text.length; at += size) {
        found.push(...reader.push(text.slice(at, at + size)));
      }
      expect(found).toEqual(wanted);
    }
  });

  it("have an end", () => {
    expect(() => new EventReader().push("x".repeat(EVENT_MAX + 1))).toThrow();
  });
});

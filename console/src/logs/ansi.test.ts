import { describe, expect, it } from "vitest";
import { ansiPieces, mark, plainText } from "./ansi";

const ESC = "\x1b";

// biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may be left
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

describe("a line of a log", () => {
  it.each([
    ["plain <b>&amp;</b>", "plain <b>&amp;</b>"],
    [`${ESC}[31mred${ESC}[0m plain`, "red plain"],
    [`${ESC}]0;title\x07after`, "after"],
    [`${ESC}]8;;https://example.com${ESC}\\link${ESC}]8;;${ESC}\\`, "link"],
    [`a${ESC}[2Kb${ESC}[1;1Hc${ESC}[?25ld${ESC}(Be${ESC}=f`, "abcdef"],
    [`${ESC}Psecret${ESC}\\x${ESC}_apc`, "x"],
    [`a${ESC}]0;never ended`, "a"],
    [`a${ESC}`, "a"],
    [`a${ESC}[12`, "a12"],
    ["\x9b31mred", "red"],
    ["10%\r50%\r100%", "100%"],
    ["done\r", "done"],
    ["a\tb\x00\x07", "a\tb\u2400\u2407"],
    ["evil\u202Etxt.exe\u2066", "eviltxt.exe"],
    ["", ""],
  ])("reads %j as %j", (line, text) => {
    expect(plainText(line)).toBe(text);
  });

  it("has styles", () => {
    const line = `${ESC}[1;31;44mA${ESC}[22;39mB${ESC}[38;5;196;3mC${ESC}[48;2;1;2;3mD${ESC}[mE${ESC}[94;4;7mF${ESC}[38;5;300mG`;
    expect(ansiPieces(line).map(({ text, style }) => [text, style])).toEqual([
      ["A", { bold: true, color: 1, background: 4 }],
      ["B", { background: 4 }],
      ["C", { background: 4, color: "rgb(255, 0, 0)", italic: true }],
      ["D", { background: "rgb(1, 2, 3)", color: "rgb(255, 0, 0)", italic: true }],
      ["E", {}],
      ["F", { underline: true, inverse: true, color: 12 }],
      ["G", { underline: true, inverse: true, color: 12 }],
    ]);
  });

  it("is marked where it has what is searched for, across styles and cases", () => {
    const marked = mark(ansiPieces(`an ER${ESC}[31mror, an error`), "error");
    expect(marked.map(({ text, match }) => [text, match])).toEqual([
      ["an ", false],
      ["ER", true],
      ["ror", true],
      [", an ", false],
      ["error", true],
    ]);
    expect(mark(ansiPieces("aaaa"), "aa").map(({ text, match }) => [text, match])).toEqual([
      ["aa", true],
      ["aa", true],
    ]);
    expect(mark(ansiPieces("abc"), "")).toEqual([{ text: "abc", style: {}, from: 0, match: false }]);
    expect(
      mark(ansiPieces("İabc"), "abc")
        .map(({ text }) => text)
        .join(""),
    ).toBe("İabc");
  });

  it("keeps every character that can be seen, whatever it is marked for", () => {
    const seed = Number(process.env.ANSI_SEED ?? 7);
    let state = seed;
    const random = (most: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % most;
    };
    const parts = [
      "a",
      "B",
      "é",
      "😀",
      ESC,
      "[31m",
      "[",
      "]0;",
      "\x07",
      "\\",
      "\r",
      ";5;",
      "m",
      "38",
      "\x9b",
      "P",
      "İ",
    ];
    for (let round = 0; round < 3000; round++) {
      const line = Array.from({ length: random(30) }, () => parts[random(parts.length)]).join("");
      const text = plainText(line);
      expect(text, `seed ${seed}, round ${round}: ${JSON.stringify(line)}`).not.toMatch(CONTROL);
      const needle = parts[random(4)] ?? "";
      expect(
        mark(ansiPieces(line), needle)
          .map((piece) => piece.text)
          .join(""),
        `seed ${seed}, round ${round}`,
      ).toBe(text);
    }
  });
});

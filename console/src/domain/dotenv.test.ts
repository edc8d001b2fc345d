import { describe, expect, it } from "vitest";
import { DOTENV_MAX, formatDotenv, parseDotenv } from "./dotenv";

function values(text: string): Record<string, string> {
  const { entries, mistakes } = parseDotenv(text);
  expect(mistakes).toEqual([]);
  return Object.fromEntries(entries.map(({ name, value }) => [name, value]));
}

describe("a .env file", () => {
  it.each([
    ["A=b", { A: "b" }],
    ["\uFEFFA=b\r\nC=d\rE=f", { A: "b", C: "d", E: "f" }],
    ["# a comment\n\n  export A = b \n", { A: "b" }],
    ["A=b # c", { A: "b" }],
    ["A=b#c", { A: "b#c" }],
    ["A=#c", { A: "" }],
    ["A=", { A: "" }],
    ["URL=postgres://u:p@h/d?a=b&c=d", { URL: "postgres://u:p@h/d?a=b&c=d" }],
    ["A='b # $C \\n' # c", { A: "b # $C \\n" }],
    ['A="b\\n\\"\\\\\\x $C"', { A: 'b\n"\\\\x $C' }],
    ["A=`it's`", { A: "it's" }],
    ['KEY="-----BEGIN\nabc\n  d\n-----END"\nB=c', { KEY: "-----BEGIN\nabc\n  d\n-----END", B: "c" }],
    ["A=1\nB=2\nA=3", { B: "2", A: "3" }],
    ["__proto__x=1\n_a=2", { __proto__x: "1", _a: "2" }],
  ])("reads %j", (text, wanted) => {
    expect(values(text)).toEqual(wanted);
  });

  it.each([
    ["nothing here", 1, "no ="],
    ["A=1\n1B=2", 2, "starts with a letter"],
    ["=x", 1, "starts with a letter"],
    ["A=1\n\nPATH=/bin", 3, "belongs to"],
    ["SNAPVM_X=1", 1, "SnapVM's own"],
    ['A="b', 1, "not closed"],
    ["A='b' c", 1, "after the closing quote"],
    [`A=${"a".repeat(32 * 1024 + 1)}`, 1, "32 KiB"],
    ["a".repeat(DOTENV_MAX + 1), 1, "256 KiB"],
  ])("says what is wrong with %j", (text, line, error) => {
    const { mistakes } = parseDotenv(text);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]?.line).toBe(line);
    expect(mistakes[0]?.error).toContain(error);
  });

  it("goes on after a line that it cannot read", () => {
    const { entries, mistakes } = parseDotenv('A=1\noops\nB="x\nC=3');
    expect(entries.map(({ name, line }) => [name, line])).toEqual([
      ["A", 1],
      ["C", 4],
    ]);
    expect(mistakes.map(({ line }) => line)).toEqual([2, 3]);
  });

  // Whatever the values are, what is written reads back; whatever the text is, reading ends and is bounded.
  it("reads back what it writes, and any text", () => {
    const seed = Number(process.env.DOTENV_SEED ?? 20_260_731);
    const random = generator(seed);
    const alphabet = [
      "a",
      "B",
      " ",
      "#",
      "=",
      "'",
      '"',
      "`",
      "\\",
      "\n",
      "\r",
      "\t",
      "$",
      "é",
      "😀",
      "n",
      "export ",
    ];
    const word = (most: number) =>
      Array.from({ length: random(most) }, () => alphabet[random(alphabet.length)]).join("");
    for (let round = 0; round < 3000; round++) {
      const entries = [
        { name: "A", value: word(20) },
        { name: "_b1", value: word(20) },
      ];
      const written = formatDotenv(entries);
      expect(values(written), `seed ${seed}, round ${round}`).toEqual(
        Object.fromEntries(entries.map(({ name, value }) => [name, value])),
      );
      const text = word(60);
      const { entries: found, mistakes } = parseDotenv(text);
      expect(found.length + mistakes.length, `seed ${seed}, round ${round}`).toBeLessThanOrEqual(
        text.split(/\r\n|\n|\r/).length,
      );
    }
  });
});

/** Numbers below `most`, the same for the same seed (mulberry32). */
function generator(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % Math.max(most, 1);
  };
}

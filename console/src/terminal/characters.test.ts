import { describe, expect, it } from "vitest";
import { Characters } from "./characters";

const encode = (text: string) => new TextEncoder().encode(text);
const strict = new TextDecoder("utf-8", { fatal: true });

describe("bytes cut between characters", () => {
  it("keeps a dash whole, wherever it is cut", () => {
    const bytes = encode("a — b");
    for (let cut = 0; cut <= bytes.length; cut++) {
      const characters = new Characters();
      const pieces = [characters.whole(bytes.subarray(0, cut)), characters.whole(bytes.subarray(cut))];
      expect(pieces.map((piece) => strict.decode(piece)).join("")).toBe("a — b");
    }
  });

  it("keeps every character whole, byte by byte", () => {
    const text = "é€𝄞\u0080\u07ff\u0800\uffff\u{10ffff}x";
    const characters = new Characters();
    const pieces = [...encode(text)].map((byte) => characters.whole(Uint8Array.of(byte)));
    expect(pieces.map((piece) => strict.decode(piece)).join("")).toBe(text);
  });

  it("holds nothing back that begins no character", () => {
    for (const bytes of [
      [0x80, 0x80],
      [0xc1],
      [0xf5],
      [0xff],
      [0x41],
      [0xe2, 0x41],
      [0xf0, 0x80, 0x80, 0x80],
    ]) {
      expect([...new Characters().whole(Uint8Array.from(bytes))]).toEqual(bytes);
    }
  });

  it("forgets what was begun before a reset", () => {
    const characters = new Characters();
    expect(characters.whole(Uint8Array.of(0x61, 0xe2, 0x80))).toEqual(Uint8Array.of(0x61));
    characters.restart();
    expect(characters.whole(encode("b"))).toEqual(encode("b"));
  });
});

import { expect, it } from "vitest";
import { describePeople, initials } from "./presence";
import { readSettings } from "./settings";

const you = { name: "Ada Lovelace", write: true, windows: 1, you: true };

it("says nothing to whoever is alone", () => {
  expect(describePeople([])).toBe(null);
  expect(describePeople([you])).toBe(null);
});

it("tells those who type from those who watch, and counts windows", () => {
  expect(describePeople([{ ...you, windows: 2 }])).toEqual({
    short: "2 windows",
    details: "Ada Lovelace (you, 2 windows)",
  });
  expect(
    describePeople([
      you,
      { name: "Grace Hopper", write: true, windows: 1, you: false },
      { name: "Vera", write: false, windows: 3, you: false },
    ]),
  ).toEqual({
    short: "1 more here, 1 watching",
    details: "Ada Lovelace (you)\nGrace Hopper\nVera (watching, 3 windows)",
  });
});

it("makes initials of any name", () => {
  expect(initials("Ada Lovelace")).toBe("AL");
  expect(initials("ada")).toBe("A");
  expect(initials("  José  María de la Cruz ")).toBe("JC");
  expect(initials("😀 b")).toBe("😀B");
  expect(initials("")).toBe("");
});

it("takes stored settings with a grain of salt", () => {
  const usual = { fontSize: 13, theme: "page", screenReader: false };
  for (const stored of [undefined, "", "null", "7", "[]", "{", '{"fontSize":"x","theme":"pink"}']) {
    expect(readSettings(stored)).toEqual(usual);
  }
  expect(readSettings('{"fontSize":900,"theme":"gruvbox","screenReader":true}')).toEqual({
    fontSize: 28,
    theme: "gruvbox",
    screenReader: true,
  });
});

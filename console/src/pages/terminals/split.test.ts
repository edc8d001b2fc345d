import { expect, it } from "vitest";
import { choose, living, readSplit, replaced, type Split } from "./split";

const split: Split = { as: "columns", panes: ["a", "b"], active: 0 };

it("chooses the pane that has a terminal, or puts it in the one with the keyboard", () => {
  expect(choose(split, "b")).toEqual({ ...split, active: 1 });
  expect(choose(split, "c")).toEqual({ ...split, panes: ["c", "b"] });
  expect(choose({ ...split, active: 1 }, "c")).toEqual({ ...split, panes: ["a", "c"], active: 1 });
});

it("is over when one of its terminals is gone", () => {
  expect(living(split, ["a", "b", "c"])).toBe(split);
  expect(living(split, ["a", "c"])).toBe(null);
  expect(living(null, ["a"])).toBe(null);
});

it("goes on with the shell that took the place of another", () => {
  expect(replaced(split, "b", "d").panes).toEqual(["a", "d"]);
});

it("reads what it stored, and nothing else", () => {
  expect(readSplit(JSON.stringify(split))).toEqual(split);
  for (const stored of [
    undefined,
    "",
    "null",
    "3",
    '{"as":"columns"}',
    '{"as":"x","panes":["a","b"]}',
    '{"as":"rows","panes":["a","a"]}',
  ]) {
    expect(readSplit(stored)).toBe(null);
  }
});

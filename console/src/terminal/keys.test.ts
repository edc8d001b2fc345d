import { describe, expect, it } from "vitest";
import { commandOf, type Key } from "./keys";
import { sequenceOf, withControl } from "./phone-keys";
import { isFocusReport, isReport } from "./reports";

const key = (code: string, name: string, held: string): Key => ({
  code,
  key: name,
  ctrlKey: held.includes("c"),
  shiftKey: held.includes("s"),
  altKey: held.includes("a"),
  metaKey: held.includes("m"),
});

describe("the terminal's own keys", () => {
  it.each([
    ["what shells and editors need", key("KeyC", "c", "c")],
    ["Ctrl-F", key("KeyF", "f", "c")],
    ["Ctrl-_ of editors", key("Minus", "_", "cs")],
    ["Alt", key("Digit1", "1", "a")],
    ["AltGr, which is Ctrl and Alt", key("Minus", "-", "ca")],
    ["plain keys", key("F2", "F2", "")],
    ["unknown combinations", key("KeyQ", "Q", "cs")],
    ["the window key", key("Equal", "+", "m")],
  ])("are not %s", (_, pressed) => {
    expect(commandOf(pressed, false)).toBe(null);
  });

  it.each([
    [key("KeyF", "F", "cs"), { is: "search" }],
    [key("KeyE", "E", "cs"), { is: "split", as: "columns" }],
    [key("Digit3", "#", "cs"), { is: "tab", number: 3 }],
    [key("Equal", "=", "c"), { is: "larger" }],
    [key("Equal", "+", "cs"), { is: "larger" }],
    [key("BracketRight", "+", "c"), { is: "larger" }],
    [key("Slash", "-", "c"), { is: "smaller" }],
    [key("Digit0", "0", "c"), { is: "usual-size" }],
  ])("%j is %j", (pressed, command) => {
    expect(commandOf(pressed, false)).toEqual(command);
  });

  it("are with Cmd on a Mac, where Ctrl is the shell's", () => {
    expect(commandOf(key("Equal", "=", "m"), true)).toEqual({ is: "larger" });
    expect(commandOf(key("KeyF", "f", "m"), true)).toEqual({ is: "search" });
    expect(commandOf(key("Minus", "-", "c"), true)).toBe(null);
    expect(commandOf(key("KeyC", "c", "m"), true)).toBe(null);
  });
});

describe("a phone's keys", () => {
  it("send what a keyboard does, in the mode that the program asked for", () => {
    expect(sequenceOf("escape", false)).toBe("\x1b");
    expect(sequenceOf("tab", true)).toBe("\t");
    expect(sequenceOf("up", false)).toBe("\x1b[A");
    expect(sequenceOf("left", true)).toBe("\x1bOD");
  });

  it("hold Ctrl for one character", () => {
    expect(withControl("c")).toBe("\x03");
    expect(withControl("C")).toBe("\x03");
    expect(withControl("[")).toBe("\x1b");
    expect(withControl(" ")).toBe("\0");
    for (const unchanged of ["1", "ls", "\x1b[A", "ü", ""]) {
      expect(withControl(unchanged)).toBe(unchanged);
    }
  });
});

describe("reports", () => {
  it("are told from what people type", () => {
    for (const typed of ["a", "\x1b[A", "\x1b", "\x1b[", "I", "\x1b[1;2R", "\x1b[Ix", "\x1b[M"]) {
      expect(isReport(typed)).toBe(false);
    }
    for (const report of [
      "\x1b[<0;10;5M",
      "\x1b[<35;1;1m",
      "\x1b[M !!",
      "\x1b[I",
      "\x1b[O",
      "\x1b[32;5;6M",
    ]) {
      expect(isReport(report)).toBe(true);
    }
    expect(isFocusReport("\x1b[I")).toBe(true);
    expect(isFocusReport("\x1b[<0;10;5M")).toBe(false);
  });
});

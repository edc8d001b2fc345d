import { describe, expect, it } from "vitest";
import {
  formatCommandLine,
  formatEnvironment,
  needsShell,
  parseCommandLine,
  parseEnvironment,
} from "./command-line";

describe("a command line", () => {
  it.each<[string, string[]]>([
    ["python3 -m http.server 3000", ["python3", "-m", "http.server", "3000"]],
    ["  a   b ", ["a", "b"]],
    [`sh -c 'echo "$HOME" && sleep 1'`, ["sh", "-c", `echo "$HOME" && sleep 1`]],
    [`a "b \\" c" ''`, ["a", `b " c`, ""]],
    ["a\\ b", ["a b"]],
    [`a"b"'c'`, ["abc"]],
    [`"a\\n"`, ["a\\n"]],
  ])("splits %s", (line, [command, ...args]) => {
    expect(parseCommandLine(line)).toEqual({ command, args });
  });

  it.each(["", "  ", "''", "a 'b", 'a "b', "a \\"])("refuses %j", (line) => {
    expect(parseCommandLine(line)).toHaveProperty("error");
  });

  it("comes back the same", () => {
    for (const args of [["-m", "http.server"], ["it's"], ["", " ", '"', "$x", "\\"], ["ä"]]) {
      const parsed = parseCommandLine(formatCommandLine("run", args));
      expect(parsed).toEqual({ command: "run", args });
    }
  });

  it("says when a shell would be needed", () => {
    expect(needsShell("npm ci && npm start")).toBe(true);
    expect(needsShell("echo $HOME")).toBe(true);
    expect(needsShell("a > log")).toBe(true);
    expect(needsShell("sh -c 'a && b'")).toBe(false);
    expect(needsShell("serve --open=a&b")).toBe(false);
    expect(needsShell("python3 -m http.server 3000")).toBe(false);
  });
});

describe("an environment", () => {
  it("is read and written line by line", () => {
    const text = "A=1\nURL=postgres://x?y=z\nEMPTY=";
    const environment = { A: "1", URL: "postgres://x?y=z", EMPTY: "" };
    expect(parseEnvironment(`${text}\n\n`)).toEqual({ environment });
    expect(formatEnvironment(environment)).toBe(text);
    expect(parseEnvironment("A=1\nnothing")).toEqual({ error: "Line 2 is not NAME=value." });
  });
});

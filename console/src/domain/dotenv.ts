// A .env file, as people paste it: NAME=value, one a line.
//
// A value without quotes is trimmed, and ends before a # that follows a space. In single quotes or backticks
// everything is itself; in double quotes \n, \r, \t, \" and \\ are what they mean. Quoted values may have several lines.
// Nothing refers to another variable: what looks like it ($NAME) stays as it is, as in SnapVM.
import { refuseVariableName, refuseVariableValue } from "./variables";

/** Longest text that is read. */
export const DOTENV_MAX = 256 * 1024;

export interface Entry {
  name: string;
  value: string;
  /** Where it begins, from 1. */
  line: number;
}

export interface Mistake {
  line: number;
  error: string;
}

export interface Dotenv {
  /** By name: of several, the last one counts. */
  entries: Entry[];
  mistakes: Mistake[];
}

const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };

export function parseDotenv(text: string): Dotenv {
  if (text.length > DOTENV_MAX) {
    return { entries: [], mistakes: [{ line: 1, error: "This is longer than 256 KiB." }] };
  }
  const entries = new Map<string, Entry>();
  const mistakes: Mistake[] = [];
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    const content = (lines[at] ?? "").trim();
    if (content === "" || content.startsWith("#")) {
      continue;
    }
    const equals = content.indexOf("=");
    const name = content
      .slice(0, Math.max(equals, 0))
      .replace(/^export\s+/, "")
      .trim();
    if (equals < 0) {
      mistakes.push({ line, error: "There is no = in this line." });
      continue;
    }
    const value = content.slice(equals + 1).trim();
    const read = /^["'`]/.test(value) ? quoted(lines, at, value) : { value: bare(value), last: at };
    if ("error" in read) {
      mistakes.push({ line, error: read.error });
      continue;
    }
    at = read.last;
    const error = refuseVariableName(name) ?? refuseVariableValue(read.value);
    if (error) {
      mistakes.push({ line, error });
    } else {
      entries.delete(name);
      entries.set(name, { name, value: read.value, line });
    }
  }
  return { entries: [...entries.values()], mistakes };
}

function bare(text: string): string {
  const comment = text.search(/(^|\s)#/);
  return (comment < 0 ? text : text.slice(0, comment)).trim();
}

/** A value that begins with a quote, which may end lines later; `last` is the line of its end. */
function quoted(
  lines: readonly string[],
  first: number,
  begin: string,
): { value: string; last: number } | { error: string } {
  const quote = begin.charAt(0);
  let value = "";
  let rest = begin.slice(1);
  for (let last = first; ; ) {
    for (let at = 0; at < rest.length; at++) {
      const character = rest.charAt(at);
      const escaped = quote === '"' && character === "\\" ? ESCAPES[rest.charAt(at + 1)] : undefined;
      if (escaped !== undefined) {
        value += escaped;
        at += 1;
      } else if (character === quote) {
        const after = rest.slice(at + 1).trim();
        return after === "" || after.startsWith("#")
          ? { value, last }
          : { error: "There is something after the closing quote." };
      } else {
        value += character;
      }
    }
    last += 1;
    if (last >= lines.length) {
      return { error: `The quote ${quote} is not closed.` };
    }
    value += "\n";
    rest = lines[last] ?? "";
  }
}

/** The same as text, for whoever wants to take it elsewhere. */
export function formatDotenv(entries: readonly { name: string; value: string }[]): string {
  return entries.map(({ name, value }) => `${name}=${formatValue(value)}\n`).join("");
}

function formatValue(value: string): string {
  if (/^[A-Za-z0-9_./:@%+,-]*$/.test(value)) {
    return value;
  }
  const escaped = value.replace(/["\\\n\r\t]/g, (character) => {
    const name = Object.keys(ESCAPES).find((key) => ESCAPES[key] === character);
    return `\\${name}`;
  });
  return `"${escaped}"`;
}

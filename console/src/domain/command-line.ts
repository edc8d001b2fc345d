// A command line as people type it, to a program and its arguments and back. Quotes and backslashes as in a shell,
// but nothing is expanded: the program is started directly.

export type Parsed = { command: string; args: string[] } | { error: string };

/** Splits a command line; says what is wrong with one that cannot be split. */
export function parseCommandLine(line: string): Parsed {
  const words: string[] = [];
  let word: string | null = null;
  let quote: '"' | "'" | null = null;
  for (let index = 0; index < line.length; index++) {
    const character = line[index] as string;
    if (quote) {
      if (character === quote) {
        quote = null;
      } else if (character === "\\" && quote === '"' && /["\\$`]/.test(line[index + 1] ?? "")) {
        word += line[++index] as string;
      } else {
        word += character;
      }
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= "";
    } else if (character === "\\") {
      if (index + 1 === line.length) {
        return { error: "A backslash at the end has nothing to stand for." };
      }
      word = (word ?? "") + (line[++index] as string);
    } else if (/\s/.test(character)) {
      if (word !== null) {
        words.push(word);
      }
      word = null;
    } else {
      word = (word ?? "") + character;
    }
  }
  if (quote) {
    return { error: `A quote (${quote}) is not closed.` };
  }
  if (word !== null) {
    words.push(word);
  }
  const [command, ...args] = words;
  if (!command) {
    return { error: "This is required: a program and its arguments." };
  }
  return { command, args };
}

/** The command line that {@link parseCommandLine} reads as this. */
export function formatCommandLine(command: string, args: readonly string[]): string {
  return [command, ...args].map(quoteWord).join(" ");
}

function quoteWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** Whether the line uses something of a shell that will not work without one. */
export function needsShell(line: string): boolean {
  return /(^|\s)(&&|\|\||[|;<>&])|\$[A-Za-z_({]|[;&]\s*$/.test(line.replace(/'[^']*'/g, "''"));
}

export type ParsedEnvironment = { environment: Record<string, string> } | { error: string };

/** Reads `NAME=value`, one a line. */
export function parseEnvironment(text: string): ParsedEnvironment {
  const environment: Record<string, string> = {};
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") {
      continue;
    }
    const at = line.indexOf("=");
    if (at < 1) {
      return { error: `Line ${index + 1} is not NAME=value.` };
    }
    environment[line.slice(0, at).trim()] = line.slice(at + 1);
  }
  return { environment };
}

/** The text that {@link parseEnvironment} reads as this. */
export function formatEnvironment(environment: Record<string, string>): string {
  return Object.entries(environment)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n");
}

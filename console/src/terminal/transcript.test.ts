import headless, { type Terminal } from "@xterm/headless";
import { expect, it } from "vitest";
import { transcript } from "./transcript";

async function shown(text: string, options = {}): Promise<Terminal> {
  const terminal: Terminal = new headless.Terminal({
    cols: 10,
    rows: 4,
    scrollback: 100,
    allowProposedApi: true,
    ...options,
  });
  await new Promise<void>((done) => terminal.write(text, done));
  return terminal;
}

it("has the scrollback, joins wrapped lines, and ends with one line break", async () => {
  const lines = Array.from({ length: 8 }, (_, at) => `line ${at}`);
  const terminal = await shown([...lines, "a line that is longer than it may be", "end", ""].join("\r\n"));
  expect(transcript(terminal.buffer.normal)).toBe(
    `${[...lines, "a line that is longer than it may be", "end"].join("\n")}\n`,
  );
});

it("keeps blanks where a line was wrapped, empty lines, and wide characters", async () => {
  const terminal = await shown("123456789 next\r\n\r\n漢字かな漢字\r\n");
  expect(transcript(terminal.buffer.normal)).toBe("123456789 next\n\n漢字かな漢字\n");
});

it("of a program that fills the screen is told apart from what was before it", async () => {
  const terminal = await shown("before\r\n\x1b[?1049h\x1b[Hinside");
  expect(transcript(terminal.buffer.normal)).toBe("before\n");
  expect(transcript(terminal.buffer.active)).toBe("inside\n");
});

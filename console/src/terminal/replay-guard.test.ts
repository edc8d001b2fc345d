// Against the real parser: everything that the emulator answers by itself must stay unanswered in a replay.
import headless, { type Terminal } from "@xterm/headless";
import { describe, expect, it } from "vitest";
import { ReplayGuard } from "./replay-guard";

const QUERIES = [
  "\x1b[c",
  "\x1b[0c",
  "\x1b[>c",
  "\x1b[5n",
  "\x1b[6n",
  "\x1b[?6n",
  "\x1b[4$p",
  "\x1b[?2026$p",
  '\x1bP$q"p\x1b\\',
  "\x1bP$qm\x1b\\",
];

function setUp() {
  const terminal: Terminal = new headless.Terminal({ allowProposedApi: true });
  const guard = new ReplayGuard(terminal.parser);
  const replies: string[] = [];
  terminal.onData((data) => {
    if (!guard.drops(data)) {
      replies.push(data);
    }
  });
  const write = (text: string) => new Promise<void>((done) => terminal.write(text, done));
  return { terminal, guard, replies, write };
}

describe("the replay guard", () => {
  it.each(QUERIES)("lets %j be answered when it is new, and not when it is old", async (query) => {
    const { guard, replies, write } = setUp();
    await write(query);
    expect(replies).toHaveLength(1);
    guard.replaying = true;
    await write(query);
    expect(replies).toHaveLength(1);
    guard.replaying = false;
    await write(query);
    expect(replies).toHaveLength(2);
  });

  it("lets keys pass, and modes be set", async () => {
    const { terminal, guard, replies, write } = setUp();
    guard.replaying = true;
    await write("\x1b[?2004h\x1b[?1004h\x1b[?1049h");
    terminal.input("ls\r");
    expect(replies).toEqual(["ls\r"]);
    expect(terminal.modes.bracketedPasteMode).toBe(true);
    expect(terminal.modes.sendFocusMode).toBe(true);
    expect(terminal.buffer.active.type).toBe("alternate");
  });

  it("drops only the focus report that old output causes", async () => {
    const { guard, write } = setUp();
    guard.replaying = true;
    await write("\x1b[?1004h");
    expect(guard.drops("\x1b[I")).toBe(true);
    expect(guard.drops("\x1b[I")).toBe(false);
    expect(guard.drops("a")).toBe(false);
  });
});

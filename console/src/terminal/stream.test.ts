// Output, snapshots, input: what reaches the screen and the shell.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connected, EPOCH } from "./fakes";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("output", () => {
  it("is attached to without an offset first, and resumed by offset after a drop", () => {
    const { screen, last, sockets, reconnect } = connected();
    expect(last().wake).toBe(true);
    expect(last().attach()).toEqual({
      columns: 80,
      rows: 24,
      key: "key",
      follow: "screen",
      foreground: true,
    });
    last().ready({ offset: 100 });
    last().output(100, "hello");
    reconnect();
    expect(sockets).toHaveLength(2);
    expect(last().wake).toBe(false);
    expect(last().attach()).toMatchObject({ epoch: EPOCH, offset: 105 });
    last().ready({ offset: 105, reset: false });
    last().output(105, " again");
    expect(screen.text).toBe("hello again");
  });

  it("drops what it has already, and starts over at a gap", () => {
    const { screen, last, notes } = connected();
    last().ready();
    last().output(0, "abc");
    last().output(1, "bcd");
    last().output(0, "abc");
    expect(screen.text).toBe("abcd");
    last().output(9, "x");
    expect(screen.text).toBe("abcd");
    expect(notes).toEqual(["A part of the output is missing. Loading it again."]);
    vi.advanceTimersByTime(250);
    last().open();
    expect(last().attach()).not.toHaveProperty("offset");
  });

  it("starts over at a frame that nobody can read, and at a ready that leaves a hole", () => {
    const { last, sockets, notes } = connected();
    last().onmessage?.(Uint8Array.of(0x13, 1).buffer);
    vi.advanceTimersByTime(250);
    last().open();
    last().ready({ offset: 7, reset: false });
    vi.advanceTimersByTime(450);
    expect(sockets).toHaveLength(3);
    expect(notes).toHaveLength(2);
  });

  it("may come twice after attaching twice", () => {
    const { screen, last } = connected();
    last().ready();
    last().output(0, "abc");
    last().ready({ offset: 1, reset: false });
    last().output(1, "bcd");
    expect(screen.text).toBe("abcd");
  });

  it("that comes again is left out and acknowledged all the same, no further than it came", () => {
    const { screen, last } = connected();
    last().ready();
    last().output(0, "x".repeat(60_000));
    last().output(60_000, "y");
    vi.advanceTimersByTime(50);
    last().notice({ is: "connected" });
    last().ready({ offset: 0, reset: false });
    const before = last().acknowledged().length;
    last().output(0, "x".repeat(40_000));
    vi.advanceTimersByTime(50);
    last().output(40_000, "x".repeat(20_000));
    last().output(60_000, "yz");
    vi.advanceTimersByTime(50);
    expect(last().acknowledged().slice(before)).toEqual([40_000, 60_002]);
    expect(screen.text).toBe(`${"x".repeat(60_000)}yz`);
  });

  it("goes on when a ready answers an earlier attach, and what was meant for a place given up is left out", () => {
    const { screen, last, sockets, notes, status } = connected();
    last().ready({ offset: 500, snapshot: { bytes: 4, dropped_lines: 0 } });
    last().snapshotPart(0, "sn");
    // The agent's socket is replaced twice, and the second agent's gets both attaches.
    last().notice({ is: "connected" });
    last().snapshotPart(2, "ap");
    last().output(500, "lost with its snapshot");
    last().truncated(0, 7);
    last().size(10, 10, false);
    last().inputAcknowledge(9);
    last().notice({ is: "connected" });
    expect(last().of(0x01)).toHaveLength(3);
    last().ready({ offset: 600, snapshot: { bytes: 2, dropped_lines: 0 } });
    last().snapshotPart(0, "$ ");
    last().output(600, "ls");
    last().ready({ offset: 602, snapshot: { bytes: 4, dropped_lines: 0 } });
    last().snapshotPart(0, "$ ls");
    last().output(602, "!");
    // An answer to an older wish, of bytes that are here already.
    last().ready({ offset: 600, reset: true });
    last().output(600, "ls!?");
    expect(screen.text).toBe("($ ls)!?");
    expect(sockets).toHaveLength(1);
    expect(notes).toEqual([]);
    expect(status()).toEqual({ is: "live" });
  });

  it("is followed past frames and notices that only a newer SnapVM knows", () => {
    const { screen, last, sockets, status } = connected();
    last().ready();
    last().onmessage?.(Uint8Array.of(0x7f, 1, 2, 3).buffer);
    last().notice({ is: "from-the-future" } as never);
    last().output(0, "on");
    expect([screen.text, sockets.length, status()]).toEqual(["on", 1, { is: "live" }]);
  });

  it("is acknowledged when it was parsed, together after 50 ms or at once after 64 KiB", () => {
    const { screen, last } = connected();
    last().ready();
    screen.parseNow = false;
    last().output(0, "abc");
    vi.advanceTimersByTime(1000);
    expect(last().acknowledged()).toEqual([]);
    screen.waiting.shift()?.();
    expect(last().acknowledged()).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(last().acknowledged()).toEqual([3]);
    screen.parseNow = true;
    for (let at = 3; at < 64 * 1024; at += 1024) {
      last().output(at, "x".repeat(1024));
    }
    expect(last().acknowledged()).toEqual([3, 3 + 64 * 1024]);
  });

  it("says what is gone, calmly, and goes on behind it", () => {
    const { screen, last, notes } = connected();
    last().ready();
    last().truncated(0, 5000);
    last().output(5000, "rest");
    expect(notes).toEqual(["5 KiB of output in between are not shown."]);
    expect(screen.text).toBe("rest");
  });

  it("is history before `live`, also when the border lies within a frame", () => {
    const { screen, last } = connected();
    last().ready({ live: 5 });
    last().output(0, "old");
    last().output(3, "ernew");
    last().output(8, "er");
    expect(screen.text).toBe("(old)(er)newer");
  });
});

describe("a snapshot", () => {
  it("replaces the screen when it is whole, and output goes on behind it", () => {
    const { screen, last } = connected();
    last().ready({ offset: 900, live: 905, snapshot: { bytes: 8, dropped_lines: 0 } });
    last().snapshotPart(0, "snap");
    expect(screen.log).not.toContain("reset");
    last().snapshotPart(4, "shot");
    expect(screen.log).toContain("reset");
    last().output(900, "12345678");
    expect(screen.text).toBe("(snap)(shot)(12345)678");
  });

  it("has the terminal's size before it is drawn, and ours after", () => {
    const { screen, last } = connected();
    last().ready({
      offset: 9,
      columns: 100,
      rows: 30,
      owner: true,
      snapshot: { bytes: 1, dropped_lines: 0 },
    });
    last().snapshotPart(0, "x");
    expect(screen.log).toEqual(["reset", "100x30", "80x24"]);
    vi.advanceTimersByTime(60);
    expect(last().sizes()).toEqual([[80, 24]]);
  });

  it("is acknowledged once it was parsed", () => {
    const { screen, last } = connected();
    screen.parseNow = false;
    last().ready({ offset: 900, snapshot: { bytes: 4, dropped_lines: 0 } });
    last().snapshotPart(0, "ab");
    last().snapshotPart(2, "cd");
    vi.advanceTimersByTime(1000);
    expect(last().acknowledged()).toEqual([]);
    for (const parsed of screen.waiting.splice(0)) {
      parsed();
    }
    vi.advanceTimersByTime(50);
    expect(last().acknowledged()).toEqual([900]);
  });

  it("comes unasked in the middle of a stream, and says what it stands for", () => {
    const { screen, last, notes, type } = connected();
    last().ready();
    last().output(0, "abc");
    last().ready({ offset: 5000, snapshot: { bytes: 2, dropped_lines: 1200 } });
    last().truncated(3, 5000);
    type("x");
    last().snapshotPart(0, "ok");
    last().output(5000, "!");
    expect(screen.text).toBe("(ok)!");
    expect(notes).toEqual([
      "5 KiB of output in between are not shown.",
      "The oldest 1,200 lines are not shown.",
    ]);
    expect(last().inputs()[0]).toEqual([1, "x"]);
  });

  it("that breaks off leaves what was shown, which is what the next attach goes on from", () => {
    const { screen, last, reconnect } = connected();
    last().ready();
    last().output(0, "abc");
    last().ready({ offset: 5000, snapshot: { bytes: 4, dropped_lines: 0 } });
    last().snapshotPart(0, "sn");
    reconnect();
    expect(screen.text).toBe("abc");
    expect(last().attach()).toMatchObject({ epoch: EPOCH, offset: 3 });
  });

  it.each([
    ["with a hole", 1, "ab"],
    ["that is longer than announced", 0, "abcde"],
  ])("%s is loaded again", (_, position, text) => {
    const { last, sockets, notes } = connected();
    last().ready({ offset: 5, snapshot: { bytes: 4, dropped_lines: 0 } });
    last().snapshotPart(position, text);
    vi.advanceTimersByTime(250);
    expect(sockets).toHaveLength(2);
    expect(notes).toEqual(["A part of the screen is missing. Loading it again."]);
  });

  it("is loaded again when output comes before its end, or a part comes that nobody announced", () => {
    const { last, sockets } = connected();
    last().ready({ offset: 5, snapshot: { bytes: 4, dropped_lines: 0 } });
    last().output(5, "x");
    vi.advanceTimersByTime(250);
    expect(sockets).toHaveLength(2);
    last().open();
    last().ready();
    last().snapshotPart(0, "x");
    vi.advanceTimersByTime(450);
    expect(sockets).toHaveLength(3);
  });

  it("of nothing is whole at once", () => {
    const { screen, last, status } = connected();
    last().ready({ offset: 5, snapshot: { bytes: 0, dropped_lines: 0 } });
    expect(status()).toEqual({ is: "live" });
    last().output(5, "x");
    expect(screen.text).toBe("x");
  });
});

describe("input", () => {
  it("is numbered from 1, kept until acknowledged and sent again after a drop", () => {
    const { last, reconnect, type } = connected();
    type("before");
    expect(last().inputs()).toEqual([]);
    last().ready();
    type("a");
    type("b");
    expect(last().inputs()).toEqual([
      [1, "before"],
      [2, "a"],
      [3, "b"],
    ]);
    last().inputAcknowledge(1);
    reconnect();
    type("c");
    last().ready({ input: 2, reset: false });
    expect(last().inputs()).toEqual([
      [3, "b"],
      [4, "c"],
    ]);
  });

  it("typed while old output is drawn is sent at once", () => {
    const { screen, last, type } = connected();
    screen.parseNow = false;
    last().ready({ live: 100 });
    last().output(0, "old");
    type("x");
    expect(last().inputs()).toEqual([[1, "x"]]);
  });

  it("is cut into pieces that a frame holds, and refused above a limit", () => {
    const { last, notes, type } = connected();
    last().ready();
    type("x".repeat(40_000));
    expect(
      last()
        .inputs()
        .map(([, text]) => text.length),
    ).toEqual([16384, 16384, 7232]);
    type("x".repeat(1024 * 1024));
    expect(last().inputs()).toHaveLength(3);
    expect(notes).toEqual(["Too much input is waiting; this was not taken."]);
  });

  it("is on its way 256 KiB at most, and the rest follows what is applied", () => {
    const { last, type } = connected();
    last().ready();
    type("x".repeat(600_000));
    expect(last().inputs()).toHaveLength(16);
    last().inputAcknowledge(4);
    expect(last().inputs()).toHaveLength(20);
    last().inputAcknowledge(20);
    last().inputAcknowledge(36);
    expect(
      last()
        .inputs()
        .map(([number]) => number),
    ).toEqual(Array.from({ length: 37 }, (_, at) => at + 1));
  });

  it("is sent again when the agent repeats its acknowledgement", () => {
    const { last, type } = connected();
    last().ready();
    type("a");
    type("b");
    last().inputAcknowledge(1);
    last().inputAcknowledge(1);
    expect(last().inputs()).toEqual([
      [1, "a"],
      [2, "b"],
      [2, "b"],
    ]);
  });

  it("of a lost shell is not given to another one, and that is said", () => {
    const { notes, last, reconnect, type } = connected();
    last().ready();
    type("rm");
    reconnect();
    last().ready({ epoch: 5, input: 0 });
    expect(last().inputs()).toEqual([]);
    expect(notes).toEqual(["Typed input (2 bytes) did not reach the shell: it is another one now."]);
    type("x");
    expect(last().inputs()).toEqual([[1, "x"]]);
  });

  it("that the shell did not take before its end is said to be lost", () => {
    const { notes, last, status, type } = connected();
    last().ready();
    type("a");
    type("b");
    last().inputAcknowledge(1);
    last().end({ by: "exit", code: 3 });
    expect(notes).toEqual(["Typed input (1 byte) did not reach the shell: it has ended."]);
    expect(status()).toEqual({ is: "ended", end: { by: "exit", code: 3 } });
    type("c");
    expect(last().inputs()).toHaveLength(2);
  });

  it("reports the mouse and the focus now or never, and only of the window that owns the size", () => {
    const { stream, last, type } = connected();
    const focus = new TextEncoder().encode("\x1b[I");
    stream.report(focus);
    last().ready();
    expect(last().inputs()).toEqual([]);
    stream.report(focus);
    expect(last().inputs()).toEqual([[1, "\x1b[I"]]);
    last().size(100, 30, false);
    stream.report(focus);
    expect(last().inputs()).toHaveLength(1);
    type("x");
    expect(last().inputs()).toHaveLength(2);
  });
});

describe("the shell below another one", () => {
  it("gets its bytes first, keeps what is above, and a snapshot later", () => {
    const { screen, last } = connected({ below: true });
    screen.text = "old shell";
    expect(last().attach()).toMatchObject({ follow: "bytes" });
    last().ready();
    last().output(0, "new");
    expect(screen.text).toBe("old shell|new");
    expect(last().attach()).toMatchObject({ follow: "screen", epoch: EPOCH, offset: 0 });
    last().ready({ offset: 0, reset: false });
    last().output(0, "new shell");
    expect(screen.text).toBe("old shell|new shell");
    expect(screen.log).toContain("reset below");
    expect(screen.log).not.toContain("reset");
  });
});

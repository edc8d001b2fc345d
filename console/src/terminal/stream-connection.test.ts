// The connection: drops, sleep, kept screens, sizes, people.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connected, EPOCH, setUp } from "./fakes";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the connection", () => {
  it("attaches again when the agent's socket is another one", () => {
    const { screen, last, type } = connected();
    last().ready();
    last().output(0, "abc");
    last().notice({ is: "waking" });
    type("x");
    expect(last().inputs()).toEqual([]);
    last().notice({ is: "connected" });
    expect(last().attach()).toMatchObject({ epoch: EPOCH, offset: 3 });
    last().ready({ offset: 3, reset: false });
    expect(last().inputs()).toEqual([[1, "x"]]);
    last().output(3, "def");
    expect(screen.text).toBe("abcdef");
  });

  it("comes back more and more slowly, and only while the page is visible", () => {
    const { stream, sockets, page, last } = connected();
    for (const wait of [200, 400, 800, 1600, 3200, 5000, 5000]) {
      const before = sockets.length;
      last().onclose?.(1006);
      vi.advanceTimersByTime(wait - 1);
      expect(sockets).toHaveLength(before);
      vi.advanceTimersByTime(1);
      expect(sockets).toHaveLength(before + 1);
    }
    page.visible = false;
    const before = sockets.length;
    last().onclose?.(1006);
    vi.advanceTimersByTime(60_000);
    expect(sockets).toHaveLength(before);
    page.visible = true;
    stream.nudge();
    expect(sockets).toHaveLength(before + 1);
  });

  it("pings every 20 s and says nothing else, and is given up when nothing comes for 45 s", () => {
    const { sockets, last } = connected();
    last().ready();
    const before = last().sent.length;
    vi.advanceTimersByTime(40_000);
    expect(last().sent.slice(before)).toEqual(["ping", "ping"]);
    last().onmessage?.("pong");
    vi.advanceTimersByTime(44_000);
    expect(sockets).toHaveLength(1);
    vi.advanceTimersByTime(1500);
    expect(sockets).toHaveLength(2);
  });

  it("that died while the computer slept is found out within seconds of its waking", () => {
    const { stream, sockets, last } = connected();
    last().ready();
    vi.advanceTimersByTime(1000);
    stream.nudge();
    expect(last().sent.at(-1)).toBe("ping");
    last().onmessage?.("pong");
    vi.advanceTimersByTime(10_000);
    expect(sockets).toHaveLength(1);
    stream.nudge();
    vi.advanceTimersByTime(5300);
    expect(sockets).toHaveLength(2);
  });

  it.each([
    [4401, "sign-in"],
    [4403, "forbidden"],
    [4404, "gone"],
    [4409, "replaced"],
  ])("is over after close code %i", (code, why) => {
    const { sockets, status, last } = connected();
    last().onclose?.(code);
    vi.advanceTimersByTime(60_000);
    expect(status()).toEqual({ is: "closed", why });
    expect(sockets).toHaveLength(1);
  });

  it.each([{ by: "exit", code: 3 }, { by: "signal", signal: 9 }, { by: "lost" }])(
    "is over after the shell's end: %j",
    (end) => {
      const { sockets, status, last } = connected();
      last().ready();
      last().end(end);
      last().onclose?.(1000);
      vi.advanceTimersByTime(60_000);
      expect(status()).toEqual({ is: "ended", end });
      expect(sockets).toHaveLength(1);
    },
  );

  it("tells who else is there", () => {
    const { people, last } = connected();
    const ada = { name: "Ada", write: true, windows: 1, you: true };
    last().notice({ is: "people", people: [ada] });
    expect(people).toEqual([[ada]]);
  });
});

describe("what runs in the foreground", () => {
  it("is told while it is known", () => {
    const { foregrounds, last } = connected();
    last().foreground({ running: true, command: "early" });
    last().ready();
    last().foreground({ running: true, command: "vim" });
    last().onclose?.(1006);
    expect(foregrounds).toEqual([{ running: true, command: "vim" }, null]);
  });

  it("is told once the screen is there that comes after it", () => {
    const { foregrounds, last } = connected();
    last().ready({ snapshot: { bytes: 2, dropped_lines: 0 } });
    last().foreground({ running: false, command: null });
    expect(foregrounds).toEqual([]);
    last().snapshotPart(0, "$ ");
    expect(foregrounds).toEqual([{ running: false, command: null }]);
  });
});

describe("a machine that is idle", () => {
  const NOW = new Date("2026-01-01T00:00:00Z").getTime();

  it("says when it goes to sleep, and that it does not", () => {
    vi.setSystemTime(NOW);
    const { idle, last } = connected();
    last().ready();
    last().notice({ is: "idle_soon", in_ms: 60_000 });
    last().notice({ is: "idle_over" });
    last().notice({ is: "idle_over" });
    expect(idle).toEqual([NOW + 60_000, null]);
  });

  it("is not any more when somebody types, it sleeps, or the connection is lost", () => {
    vi.setSystemTime(NOW);
    const { idle, last, type } = connected();
    last().ready();
    const soon = () => last().notice({ is: "idle_soon", in_ms: 5000 });
    soon();
    type("x");
    soon();
    last().notice({ is: "sleeping" });
    last().notice({ is: "connected" });
    last().ready({ reset: false });
    soon();
    last().onclose?.(1006);
    expect(idle).toEqual([NOW + 5000, null, NOW + 5000, null, NOW + 5000, null]);
  });
});

describe("sleep", () => {
  it("is not ended by looking: not by coming back to the page, nor by the network", () => {
    const { stream, sockets, status } = setUp({ wake: false });
    sockets[0]?.onopen?.();
    sockets[0]?.notice({ is: "asleep" });
    expect(status()).toEqual({ is: "asleep", since: null });
    stream.nudge();
    stream.report(new TextEncoder().encode("\x1b[I"));
    expect(sockets.map(({ wake }) => wake)).toEqual([false, false]);
  });

  it("ends when somebody types, and the input is applied once", () => {
    const { sockets, status, last, type } = connected();
    last().ready();
    last().notice({ is: "sleeping" });
    expect(status()).toEqual({ is: "sleeping" });
    last().onclose?.(4410);
    vi.advanceTimersByTime(60_000);
    expect(status()).toEqual({ is: "asleep", since: null });
    expect(sockets).toHaveLength(1);
    type("l");
    expect(sockets).toHaveLength(2);
    expect(last().wake).toBe(true);
    last().onopen?.();
    last().notice({ is: "waking" });
    expect(status()).toEqual({ is: "waking" });
    vi.advanceTimersByTime(2000);
    expect(last().of(0x01)).toHaveLength(0);
    last().notice({ is: "connected" });
    expect(last().of(0x01)).toHaveLength(1);
    last().ready({ reset: false });
    expect(status()).toEqual({ is: "live" });
    expect(last().inputs()).toEqual([[1, "l"]]);
  });

  it("ends for what was typed on the way there, asked for once", () => {
    const { sockets, status, last, type } = connected();
    last().ready();
    last().onclose?.(1006);
    type("x");
    vi.advanceTimersByTime(250);
    last().onopen?.();
    last().notice({ is: "asleep" });
    expect(sockets).toHaveLength(3);
    expect(last().wake).toBe(true);
    last().onopen?.();
    last().notice({ is: "asleep" });
    expect(sockets).toHaveLength(3);
    expect(status()).toMatchObject({ is: "asleep" });
  });
});

describe("the kept screen", () => {
  it("is shown while the machine sleeps, and continued after the wake", () => {
    const { screen, last, status, stream, type } = setUp({ wake: false });
    last().onopen?.();
    last().notice({ is: "asleep" });
    last().kept({ offset: 500, bytes: 6, columns: 100, rows: 30, directory: "/srv", at_ms: 12_345 });
    last().keptPart(0, "las");
    expect(screen.text).toBe("");
    last().keptPart(3, "t $");
    expect(screen.text).toBe("(las)(t $)");
    expect(screen.log).toContain("100x30");
    expect(status()).toEqual({ is: "asleep", since: 12_345 });
    expect(stream.directory).toBe("/srv");
    type("l");
    last().open();
    expect(last().attach()).toMatchObject({ epoch: EPOCH, offset: 500 });
    last().ready({ offset: 500, reset: false });
    last().output(500, "ls");
    expect(screen.text).toBe("(las)(t $)ls");
    expect(last().inputs()).toEqual([[1, "l"]]);
  });

  it("gives way to the snapshot when its bytes are gone", () => {
    const { screen, last } = setUp({ wake: true });
    last().onopen?.();
    last().keptScreen("last", { offset: 5 });
    last().notice({ is: "connected" });
    last().ready({ offset: 90, snapshot: { bytes: 3, dropped_lines: 0 } });
    last().snapshotPart(0, "now");
    expect(screen.text).toBe("(now)");
  });

  it("does not replace what is newer or the same", () => {
    const { screen, last } = connected();
    last().ready();
    last().output(0, "all of it");
    last().notice({ is: "asleep" });
    last().keptScreen("kept", { offset: 9, directory: "/tmp" });
    expect(screen.text).toBe("all of it");
  });

  it("tells those who were there all the time where the shell was and when that was, and leaves their screen alone", () => {
    const { screen, last, status, stream } = connected();
    last().ready();
    last().output(0, "all of it");
    last().notice({ is: "sleeping" });
    last().keptScreen("kept", { offset: 9, directory: "/srv/app", at_ms: 12_345 });
    last().notice({ is: "asleep" });
    expect(screen.text).toBe("all of it");
    expect(status()).toEqual({ is: "asleep", since: 12_345 });
    last().end({ by: "lost" });
    expect(stream.directory).toBe("/srv/app");
  });

  it("replaces what is older", () => {
    const { screen, last } = connected();
    last().ready();
    last().output(0, "half");
    last().notice({ is: "asleep" });
    last().keptScreen("whole", { offset: 9 });
    expect(screen.text).toBe("(whole)");
  });

  it("with a hole is let go, and changes nothing", () => {
    const { screen, last, status } = setUp({ wake: false });
    last().onopen?.();
    last().notice({ is: "asleep" });
    last().kept({ offset: 5, bytes: 4 });
    last().keptPart(1, "x");
    last().keptPart(0, "abcd");
    expect(screen.text).toBe("");
    expect(status()).toMatchObject({ is: "asleep" });
  });

  it("tells where the lost shell was", () => {
    const { last, stream, status } = setUp({ wake: true });
    last().onopen?.();
    last().keptScreen("$", { offset: 5, directory: "/home/sprite/work" });
    last().notice({ is: "waking" });
    last().end({ by: "lost" });
    expect(status()).toEqual({ is: "ended", end: { by: "lost" } });
    expect(stream.directory).toBe("/home/sprite/work");
  });
});

describe("the size", () => {
  it("of another window is taken over, and said", () => {
    const { screen, sizes, last } = connected();
    last().ready({ columns: 100, rows: 30, owner: false });
    expect(screen.log.at(-1)).toBe("100x30");
    expect(sizes.at(-1)).toEqual([{ columns: 100, rows: 30 }, false]);
  });

  it("of another window is not disturbed by our window's, until it is used", () => {
    const { stream, screen, sizes, last } = connected();
    last().ready({ columns: 100, rows: 30, owner: false });
    stream.resize(90, 25);
    vi.advanceTimersByTime(1000);
    expect(last().sizes()).toEqual([]);
    expect(screen.log.at(-1)).toBe("100x30");
    stream.claim();
    expect(last().sizes()).toEqual([[90, 25]]);
    expect(screen.log.at(-1)).toBe("90x25");
    expect(sizes.at(-1)).toEqual([{ columns: 90, rows: 25 }, true]);
    stream.claim();
    expect(last().sizes()).toHaveLength(1);
  });

  it("becomes ours before what is typed here", () => {
    const { last, type } = connected();
    last().ready({ columns: 100, rows: 30, owner: false });
    const before = last().sent.length;
    type("a");
    expect(
      last()
        .sent.slice(before)
        .map((frame) => frame[0]),
    ).toEqual([0x04, 0x02]);
  });

  it("is sent when it comes to rest", () => {
    const { stream, last } = connected();
    last().ready();
    stream.resize(90, 25);
    stream.resize(91, 26);
    vi.advanceTimersByTime(50);
    expect(last().sizes()).toEqual([[91, 26]]);
  });

  it("that changed while nobody could hear it is sent after attaching", () => {
    const { stream, last } = connected();
    last().ready();
    last().onclose?.(1006);
    stream.resize(90, 25);
    vi.advanceTimersByTime(250);
    last().open();
    last().ready({ reset: false, columns: 80, rows: 24, owner: true });
    vi.advanceTimersByTime(50);
    expect(last().sizes()).toEqual([[90, 25]]);
  });
});

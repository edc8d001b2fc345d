import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Notice, Ready } from "./frames";
import type { Screen } from "./screen";
import type { Status } from "./status";
import { type Socket, TerminalStream } from "./stream";

const EPOCH = 77;

class FakeSocket implements Socket {
  sent: (Uint8Array | string)[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((data: ArrayBuffer | string) => void) | null = null;
  onclose: ((code: number) => void) | null = null;
  constructor(readonly wake: boolean) {}
  send(data: Uint8Array | string) {
    this.sent.push(data);
  }
  close() {
    this.closed = true;
  }
  /** Opened, with an agent there. */
  open() {
    this.onopen?.();
    this.notice({ is: "connected" });
  }
  of(kind: number): Uint8Array[] {
    return this.sent.filter((data): data is Uint8Array => typeof data !== "string" && data[0] === kind);
  }
  attach(at = -1): Record<string, unknown> {
    return JSON.parse(new TextDecoder().decode(this.of(0x01).at(at)?.subarray(1)));
  }
  inputs(): [number, string][] {
    return this.of(0x02).map((frame) => [
      new DataView(frame.buffer).getUint32(1),
      new TextDecoder().decode(frame.subarray(5)),
    ]);
  }
  acknowledged(): number[] {
    return this.of(0x03).map((frame) => Number(new DataView(frame.buffer).getBigUint64(1)));
  }
  private json(kind: number, value: unknown) {
    const body = new TextEncoder().encode(JSON.stringify(value));
    this.onmessage?.(Uint8Array.of(kind, ...body).buffer);
  }
  ready(ready: Partial<Ready> = {}) {
    this.json(0x11, { epoch: EPOCH, offset: 0, input: 0, reset: true, columns: 80, rows: 24, ...ready });
  }
  notice(notice: Notice) {
    this.json(0x21, notice);
  }
  end(code: number) {
    this.json(0x15, { by: "exit", code });
  }
  output(offset: number, text: string) {
    const body = new TextEncoder().encode(text);
    const frame = new Uint8Array(9 + body.length);
    frame[0] = 0x12;
    new DataView(frame.buffer).setBigUint64(1, BigInt(offset));
    frame.set(body, 9);
    this.onmessage?.(frame.buffer);
  }
  inputAcknowledge(number: number) {
    const frame = new Uint8Array(5);
    frame[0] = 0x13;
    new DataView(frame.buffer).setUint32(1, number);
    this.onmessage?.(frame.buffer);
  }
  truncated(from: number, to: number) {
    const frame = new Uint8Array(17);
    frame[0] = 0x14;
    const view = new DataView(frame.buffer);
    view.setBigUint64(1, BigInt(from));
    view.setBigUint64(9, BigInt(to));
    this.onmessage?.(frame.buffer);
  }
}

class FakeScreen implements Screen {
  log: string[] = [];
  text = "";
  parseNow = true;
  waiting: (() => void)[] = [];
  reset(replay: boolean) {
    this.text = "";
    this.log.push(replay ? "reset, replay" : "reset");
  }
  live() {
    this.log.push("live");
  }
  write(bytes: Uint8Array, parsed: () => void) {
    this.text += new TextDecoder().decode(bytes);
    if (this.parseNow) {
      parsed();
    } else {
      this.waiting.push(parsed);
    }
  }
  say(line: string) {
    this.log.push(line);
  }
  resize(columns: number, rows: number) {
    this.log.push(`${columns}x${rows}`);
  }
}

function setUp({ wake = true, fresh = false } = {}) {
  const sockets: FakeSocket[] = [];
  const screen = new FakeScreen();
  const statuses: Status[] = [];
  const page = { visible: true };
  const stream = new TerminalStream({
    connect: (wakes) => {
      const socket = new FakeSocket(wakes);
      sockets.push(socket);
      return socket;
    },
    screen,
    key: "key",
    size: { columns: 80, rows: 24 },
    wake,
    fresh,
    visible: () => page.visible,
    onStatus: (status) => statuses.push(status),
  });
  stream.start();
  const last = () => {
    const socket = sockets.at(-1);
    if (!socket) throw new Error("no socket");
    return socket;
  };
  last().open();
  return { stream, sockets, screen, statuses, page, last };
}

const type = (stream: TerminalStream, text: string) => stream.type(new TextEncoder().encode(text));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("output", () => {
  it("is attached to without an offset first, and resumed by offset after a drop", () => {
    const { screen, last, sockets } = setUp();
    expect(last().wake).toBe(true);
    expect(last().attach()).toEqual({ columns: 80, rows: 24, key: "key" });
    last().ready({ offset: 100 });
    last().output(100, "hello");
    last().onclose?.(1006);
    vi.advanceTimersByTime(250);
    expect(sockets).toHaveLength(2);
    expect(last().wake).toBe(false);
    last().open();
    expect(last().attach()).toMatchObject({ epoch: EPOCH, offset: 105 });
    last().ready({ offset: 105, reset: false });
    last().output(105, " again");
    expect(screen.text).toBe("hello again");
  });

  it("drops what it has already, and starts over at a gap", () => {
    const { screen, last } = setUp();
    last().ready();
    last().output(0, "abc");
    last().output(1, "bcd");
    last().output(0, "abc");
    expect(screen.text).toBe("abcd");
    last().output(9, "x");
    expect(screen.text).toBe("abcd");
    expect(screen.log.at(-1)).toBe("5 bytes of output are missing. Loading it again.");
    vi.advanceTimersByTime(250);
    last().open();
    expect(last().attach()).not.toHaveProperty("offset");
  });

  it("is acknowledged when it was parsed, together after 50 ms or at once after 32 KiB", () => {
    const { screen, last } = setUp();
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
    last().output(3, "x".repeat(32 * 1024));
    expect(last().acknowledged()).toEqual([3, 3 + 32 * 1024]);
  });

  it("says what is gone", () => {
    const { screen, last } = setUp();
    last().ready();
    last().truncated(0, 5000);
    last().output(5000, "rest");
    expect(screen.log).toContain("5,000 bytes of output are no longer kept.");
    expect(screen.text).toBe("rest");
  });

  it("is a replay until it pauses, but not in a new shell", () => {
    const { screen, last } = setUp();
    last().ready();
    last().output(0, "old");
    vi.advanceTimersByTime(150);
    last().output(3, "old");
    vi.advanceTimersByTime(150);
    expect(screen.log).not.toContain("live");
    vi.advanceTimersByTime(60);
    expect(screen.log).toContain("live");

    const other = setUp({ fresh: true });
    other.last().ready();
    expect(other.screen.log[0]).toBe("reset");
  });
});

describe("input", () => {
  it("is numbered from 1, kept until acknowledged and sent again after a drop", () => {
    const { stream, last } = setUp();
    type(stream, "before");
    expect(last().inputs()).toEqual([]);
    last().ready();
    type(stream, "a");
    type(stream, "b");
    expect(last().inputs()).toEqual([
      [1, "before"],
      [2, "a"],
      [3, "b"],
    ]);
    last().inputAcknowledge(1);
    last().onclose?.(1006);
    type(stream, "c");
    vi.advanceTimersByTime(250);
    last().open();
    last().ready({ input: 2, reset: false });
    expect(last().inputs()).toEqual([
      [3, "b"],
      [4, "c"],
    ]);
  });

  it("is cut into pieces that a frame holds", () => {
    const { stream, last } = setUp();
    last().ready();
    type(stream, "x".repeat(40_000));
    expect(
      last()
        .inputs()
        .map(([, text]) => text.length),
    ).toEqual([16384, 16384, 7232]);
  });

  it("is sent again when the agent repeats its acknowledgement", () => {
    const { stream, last } = setUp();
    last().ready();
    type(stream, "a");
    type(stream, "b");
    last().inputAcknowledge(1);
    last().inputAcknowledge(1);
    expect(last().inputs()).toEqual([
      [1, "a"],
      [2, "b"],
      [2, "b"],
    ]);
  });

  it("of a lost shell is not given to another one, and that is said", () => {
    const { stream, screen, last } = setUp();
    last().ready();
    type(stream, "rm");
    last().onclose?.(1006);
    vi.advanceTimersByTime(250);
    last().open();
    last().ready({ epoch: 5, input: 0 });
    expect(last().inputs()).toEqual([]);
    expect(screen.log.at(-1)).not.toBe("");
    expect(screen.log.some((line) => line.includes("2 bytes typed for the last one"))).toBe(true);
    type(stream, "x");
    expect(last().inputs()).toEqual([[1, "x"]]);
  });
});

describe("the connection", () => {
  it("attaches again when the agent's socket is another one", () => {
    const { stream, screen, last } = setUp();
    last().ready();
    last().output(0, "abc");
    last().notice({ is: "waking" });
    type(stream, "x");
    expect(last().inputs()).toEqual([]);
    last().notice({ is: "connected" });
    expect(last().attach()).toMatchObject({ epoch: EPOCH, offset: 3 });
    last().ready({ offset: 3, reset: false });
    expect(last().inputs()).toEqual([[1, "x"]]);
    last().output(3, "def");
    expect(screen.text).toBe("abcdef");
  });

  it("comes back more and more slowly, and only while the page is visible", () => {
    const { stream, sockets, page, last } = setUp();
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

  it("pings, and is given up when nothing comes for 45 s", () => {
    const { sockets, last } = setUp();
    last().ready();
    vi.advanceTimersByTime(20_000);
    expect(last().sent.at(-1)).toBe("ping");
    last().onmessage?.("pong");
    vi.advanceTimersByTime(44_000);
    expect(sockets).toHaveLength(1);
    vi.advanceTimersByTime(1500);
    expect(sockets).toHaveLength(2);
  });

  it("stays down when the machine sleeps, until somebody types", () => {
    const { stream, sockets, statuses, last } = setUp();
    last().ready();
    last().notice({ is: "sleeping" });
    expect(statuses.at(-1)).toEqual({ is: "sleeping" });
    last().onclose?.(4410);
    vi.advanceTimersByTime(60_000);
    expect(statuses.at(-1)).toEqual({ is: "asleep" });
    expect(sockets).toHaveLength(1);
    type(stream, "l");
    expect(sockets).toHaveLength(2);
    expect(last().wake).toBe(true);
    last().onopen?.();
    last().notice({ is: "waking" });
    expect(statuses.at(-1)).toEqual({ is: "waking" });
    vi.advanceTimersByTime(2000);
    expect(last().of(0x01)).toHaveLength(0);
    last().notice({ is: "connected" });
    expect(last().of(0x01)).toHaveLength(1);
    last().ready({ reset: false });
    expect(statuses.at(-1)).toEqual({ is: "live" });
    expect(last().inputs()).toEqual([[1, "l"]]);
  });

  it.each([
    [4401, "sign-in"],
    [4403, "forbidden"],
    [4404, "gone"],
    [4409, "replaced"],
  ])("is over after close code %i", (code, why) => {
    const { sockets, statuses, last } = setUp();
    last().onclose?.(code);
    vi.advanceTimersByTime(60_000);
    expect(statuses.at(-1)).toEqual({ is: "closed", why });
    expect(sockets).toHaveLength(1);
  });

  it("is over after the shell's end", () => {
    const { sockets, statuses, last } = setUp();
    last().ready();
    last().end(3);
    last().onclose?.(1000);
    vi.advanceTimersByTime(60_000);
    expect(statuses.at(-1)).toEqual({ is: "ended", end: { by: "exit", code: 3 } });
    expect(sockets).toHaveLength(1);
  });

  it("takes another client's size, and goes back to its own when somebody types", () => {
    const { stream, screen, last } = setUp();
    last().ready({ columns: 100, rows: 30 });
    expect(screen.log.at(-1)).toBe("100x30");
    type(stream, "a");
    expect(screen.log.at(-1)).toBe("80x24");
  });

  it("sends the last of several sizes", () => {
    const { stream, last } = setUp();
    last().ready();
    stream.resize(90, 25);
    stream.resize(91, 26);
    vi.advanceTimersByTime(50);
    expect(
      last()
        .of(0x04)
        .map((frame) => [...frame]),
    ).toEqual([[0x04, 0, 91, 0, 26]]);
  });
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Feed, type FeedEvents } from "./feed";

class FakeSocket {
  sent: (Uint8Array | string)[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((data: ArrayBuffer | string) => void) | null = null;
  onclose: ((code: number) => void) | null = null;
  constructor(readonly query: string) {}
  send(data: Uint8Array | string) {
    this.sent.push(data);
  }
  close() {}
  say(message: object) {
    this.onmessage?.(JSON.stringify(message));
  }
  position(seq: number, reset = true, feed = "f") {
    this.onopen?.();
    this.say({ feed, seq, reset, role: "viewer" });
  }
  change(seq: number) {
    this.say({ seq, at: "", kind: "ports", machine: "one" });
  }
}

let sockets: FakeSocket[];
const heard: FeedEvents = { changed: vi.fn(), reset: vi.fn(), live: vi.fn(), ended: vi.fn() };
let feed: Feed;

beforeEach(() => {
  vi.useFakeTimers();
  vi.clearAllMocks();
  sockets = [];
  feed = new Feed((query) => {
    const socket = new FakeSocket(query);
    sockets.push(socket);
    return socket;
  }, heard);
});
afterEach(() => {
  feed.close();
  vi.useRealTimers();
});
const last = () => sockets.at(-1) as FakeSocket;

test("what was before the first word is read, and what comes is passed on", () => {
  expect(last().query).toBe("");
  last().position(7);
  expect(heard.reset).toHaveBeenCalledTimes(1);
  expect(heard.live).toHaveBeenLastCalledWith(true);
  last().change(8);
  expect(heard.changed).toHaveBeenCalledWith(expect.objectContaining({ seq: 8, kind: "ports" }));
});

test("a lost socket comes back where it stopped, and nobody is bothered", () => {
  last().position(7);
  last().change(9);
  last().onclose?.(1006);
  vi.advanceTimersByTime(1500);
  expect(sockets).toHaveLength(2);
  expect(last().query).toBe("?feed=f&after=9");
  last().position(12, false);
  last().change(10);
  vi.advanceTimersByTime(10_000);
  expect(heard.reset).toHaveBeenCalledTimes(1);
  expect(heard.live).not.toHaveBeenCalledWith(false);
  last().onclose?.(1006);
  vi.advanceTimersByTime(1500);
  expect(last().query).toBe("?feed=f&after=10");
});

test("one that does not come back is said to be gone, and tried for ever", () => {
  last().position(7);
  last().onclose?.(1006);
  for (let second = 0; second < 60; second += 1) {
    vi.advanceTimersByTime(1000);
    last().onclose?.(1006);
  }
  expect(heard.live).toHaveBeenLastCalledWith(false);
  expect(sockets.length).toBeGreaterThan(5);
  vi.advanceTimersByTime(8000);
  last().position(9, true, "another");
  expect(heard.live).toHaveBeenLastCalledWith(true);
  expect(heard.reset).toHaveBeenCalledTimes(2);
  last().onclose?.(1006);
  vi.advanceTimersByTime(1500);
  expect(last().query).toBe("?feed=another&after=9");
});

test("whose access has ended does not come back", () => {
  last().position(7);
  last().onclose?.(4403);
  vi.advanceTimersByTime(60_000);
  expect(sockets).toHaveLength(1);
  expect(heard.ended).toHaveBeenCalledTimes(1);
});

test("what is heard is said now and then", () => {
  last().position(0);
  for (let seq = 1; seq <= 120; seq += 1) {
    last().change(seq);
  }
  expect(last().sent).toEqual(["50", "100"]);
});

test("after a sleep of the computer a dead socket is found at once", () => {
  last().position(7);
  vi.advanceTimersByTime(1000);
  feed.wake();
  vi.advanceTimersByTime(7000);
  expect(sockets.length).toBeGreaterThan(1);
  last().onclose?.(1006);
  const tried = sockets.length;
  feed.wake();
  expect(sockets.length).toBe(tried + 1);
});

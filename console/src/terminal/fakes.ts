// A socket and a screen for tests of the stream: they write down what is done to them.
import { vi } from "vitest";
import type { Socket } from "./connection";
import type { Foreground, KeptHead, Notice, Person, Ready } from "./frames";
import type { Screen, Size } from "./screen";
import type { Status } from "./status";
import { TerminalStream } from "./stream";

export const EPOCH = 77;

export class FakeSocket implements Socket {
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
  sizes(): [number, number][] {
    return this.of(0x04).map((frame) => {
      const view = new DataView(frame.buffer);
      return [view.getUint16(1), view.getUint16(3)];
    });
  }

  private json(kind: number, value: unknown) {
    this.bytes(kind, new TextEncoder().encode(JSON.stringify(value)));
  }
  private bytes(kind: number, body: Uint8Array) {
    const frame = new Uint8Array(1 + body.length);
    frame[0] = kind;
    frame.set(body, 1);
    this.onmessage?.(frame.buffer);
  }
  private numbered(kind: number, numbers: number[], width: 4 | 8, text = "") {
    const body = new TextEncoder().encode(text);
    const payload = new Uint8Array(numbers.length * width + body.length);
    const view = new DataView(payload.buffer);
    numbers.forEach((number, at) => {
      if (width === 8) {
        view.setBigUint64(at * 8, BigInt(number));
      } else {
        view.setUint32(at * 4, number);
      }
    });
    payload.set(body, numbers.length * width);
    this.bytes(kind, payload);
  }
  ready(ready: Partial<Ready> = {}) {
    const usual = { epoch: EPOCH, offset: 0, input: 0, reset: true, owner: true, columns: 80, rows: 24 };
    this.json(0x11, { ...usual, live: ready.offset ?? 0, ...ready });
  }
  output(offset: number, text: string) {
    this.numbered(0x12, [offset], 8, text);
  }
  inputAcknowledge(number: number) {
    this.numbered(0x13, [number], 4);
  }
  truncated(from: number, to: number) {
    this.numbered(0x14, [from, to], 8);
  }
  end(end: object) {
    this.json(0x15, end);
  }
  size(columns: number, rows: number, owner: boolean) {
    this.bytes(0x16, Uint8Array.of(columns >> 8, columns, rows >> 8, rows, Number(owner)));
  }
  snapshotPart(position: number, text: string) {
    this.numbered(0x17, [position], 4, text);
  }
  foreground(foreground: Foreground) {
    this.json(0x18, foreground);
  }
  notice(notice: Notice) {
    this.json(0x21, notice);
  }
  kept(head: Partial<KeptHead>) {
    this.json(0x22, { epoch: EPOCH, offset: 0, columns: 80, rows: 24, bytes: 0, ...head });
  }
  keptPart(position: number, text: string) {
    this.numbered(0x23, [position], 4, text);
  }
  /** A whole kept screen. */
  keptScreen(text: string, head: Partial<KeptHead>) {
    this.kept({ ...head, bytes: text.length });
    this.keptPart(0, text);
  }
}

export class FakeScreen implements Screen {
  log: string[] = [];
  /** Old output is in parentheses. */
  text = "";
  parseNow = true;
  waiting: (() => void)[] = [];
  private old = false;

  reset() {
    this.text = "";
    this.log.push("reset");
  }
  resetBelow() {
    this.text += "|";
    this.log.push("reset below");
  }
  history(old: boolean) {
    this.old = old;
  }
  write(bytes: Uint8Array, parsed: () => void) {
    const text = new TextDecoder().decode(bytes);
    this.text += this.old && text !== "" ? `(${text})` : text;
    if (this.parseNow) {
      parsed();
    } else {
      this.waiting.push(parsed);
    }
  }
  resize(columns: number, rows: number) {
    this.log.push(`${columns}x${rows}`);
  }
}

export function setUp({ wake = true, below = false } = {}) {
  const sockets: FakeSocket[] = [];
  const screen = new FakeScreen();
  const statuses: Status[] = [];
  const notes: string[] = [];
  const sizes: [Size, boolean][] = [];
  const people: (readonly Person[])[] = [];
  const idle: (number | null)[] = [];
  const foregrounds: (Foreground | null)[] = [];
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
    below,
    visible: () => page.visible,
    on: {
      status: (status) => statuses.push(status),
      note: (text) => notes.push(text),
      size: (size, owner) => sizes.push([size, owner]),
      people: (now) => people.push(now),
      foreground: (now) => foregrounds.push(now),
      idle: (sleepsAt) => idle.push(sleepsAt),
    },
  });
  stream.start();
  const last = () => {
    const socket = sockets.at(-1);
    if (!socket) throw new Error("no socket");
    return socket;
  };
  /** The socket breaks, and the next one is open. */
  const reconnect = () => {
    last().onclose?.(1006);
    vi.advanceTimersByTime(250);
    last().open();
  };
  const type = (text: string) => stream.type(new TextEncoder().encode(text));
  const status = () => statuses.at(-1);
  return {
    stream,
    sockets,
    screen,
    statuses,
    status,
    notes,
    sizes,
    people,
    idle,
    foregrounds,
    page,
    last,
    reconnect,
    type,
  };
}

/** The same, connected to an agent. */
export function connected(options: { wake?: boolean; below?: boolean } = {}) {
  const all = setUp(options);
  all.last().open();
  return all;
}

// One terminal's connection: attaches, resumes by offset, numbers input, acknowledges what was parsed, and comes back
// after drops. No DOM: the emulator is behind `Screen`, the network behind `Socket`.
import * as frames from "./frames";
import { InputQueue } from "./input";
import { Output } from "./output";
import type { Screen } from "./screen";
import { backoff, CLOSE_ASLEEP, refusal, type Status } from "./status";
import { Timers } from "./timers";

/** The part of a WebSocket that is used. */
export interface Socket {
  send(data: Uint8Array<ArrayBuffer> | string): void;
  close(code?: number): void;
  onopen: (() => void) | null;
  onmessage: ((data: ArrayBuffer | string) => void) | null;
  onclose: ((code: number) => void) | null;
}

export interface StreamOptions {
  connect(wake: boolean): Socket;
  screen: Screen;
  key: string;
  size: { columns: number; rows: number };
  /** Whether the first connection may wake the machine. */
  wake: boolean;
  /** Whether the shell is new, so that its first output is no replay. */
  fresh: boolean;
  visible(): boolean;
  onStatus(status: Status): void;
}

const RESIZE_AFTER = 50;
const PING_EVERY = 20_000;
const DEAD_AFTER = 45_000;
const STEADY_AFTER = 3000;
const ATTACH_ANYWAY = 1000;

export class TerminalStream {
  private socket: Socket | null = null;
  private status: Status = { is: "connecting" };
  private readonly input = new InputQueue();
  private readonly output: Output;
  private readonly timers = new Timers();
  private epoch: number | null = null;
  /** Whether what is on the screen can be continued from where it stopped. */
  private resumable = false;
  private attached = false;
  private lastInputAcknowledge = -1;
  private attempt = 0;
  private wakeNext: boolean;
  private fresh: boolean;
  private size: { columns: number; rows: number };
  private sizeIsOurs = true;
  private lastMessage = 0;
  private disposed = false;

  constructor(private readonly options: StreamOptions) {
    this.wakeNext = options.wake;
    this.fresh = options.fresh;
    this.size = options.size;
    this.output = new Output(options.screen, this.timers, (offset) => this.sendAcknowledge(offset));
  }

  start(): void {
    this.connect();
  }

  dispose(): void {
    this.disposed = true;
    this.drop();
    this.timers.clear();
  }

  /** Connects, and wakes the machine when it sleeps. */
  wake(): void {
    this.wakeNext = true;
    this.attempt = 0;
    this.connect();
  }

  /** The page became visible, or the network came back. */
  nudge(): void {
    // An asleep machine is only looked at again: nothing here wakes it.
    if (this.status.is === "waiting" || this.status.is === "asleep") {
      this.attempt = 0;
      this.connect();
    } else if (this.socket && this.attached) {
      this.socket.send("ping");
    }
  }

  /** What a person typed or pasted. */
  type(bytes: Uint8Array): void {
    if (this.status.is === "ended" || this.status.is === "closed" || bytes.length === 0) {
      return;
    }
    const numbered = this.input.push(bytes);
    if (!numbered) {
      this.options.screen.say("Too much input is waiting; this was not taken.");
      return;
    }
    if (!this.sizeIsOurs) {
      // Whoever types owns the size: the agent has just gone back to ours.
      this.sizeIsOurs = true;
      this.options.screen.resize(this.size.columns, this.size.rows);
    }
    if (this.attached) {
      for (const piece of numbered) {
        this.socket?.send(frames.encodeInput(piece.number, piece.bytes));
      }
    } else if (this.status.is === "asleep") {
      this.wake();
    }
  }

  resize(columns: number, rows: number): void {
    this.size = { columns, rows };
    this.sizeIsOurs = true;
    this.timers.after("resize", RESIZE_AFTER, () => {
      if (this.attached) {
        this.socket?.send(frames.encodeResize(this.size.columns, this.size.rows));
      }
    });
  }

  private connect(): void {
    if (this.disposed) {
      return;
    }
    this.drop();
    this.timers.cancel("connect");
    const socket = this.options.connect(this.wakeNext);
    this.socket = socket;
    this.set({ is: this.wakeNext && this.status.is === "asleep" ? "waking" : "connecting" });
    this.wakeNext = false;
    this.lastMessage = Date.now();
    socket.onopen = () => {
      // The object says `connected` when an agent can hear us, mostly at once; do not rely on it for ever.
      this.timers.after("attach", ATTACH_ANYWAY, () => this.sendAttach());
      this.ping();
      this.timers.after("dead", DEAD_AFTER, () => this.checkAlive());
    };
    socket.onmessage = (data) => {
      this.lastMessage = Date.now();
      if (typeof data !== "string") {
        this.receive(data);
      }
    };
    socket.onclose = (code) => this.closed(code);
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    this.detached();
    this.timers.cancel("ping");
    this.timers.cancel("dead");
    this.timers.cancel("steady");
    if (socket) {
      socket.onopen = null;
      socket.onmessage = null;
      socket.onclose = null;
      socket.close(1000);
    }
  }

  private closed(code: number): void {
    this.drop();
    if (this.status.is === "ended" || this.status.is === "failed") {
      return;
    }
    const why = refusal(code);
    if (why) {
      this.set({ is: "closed", why });
    } else if (code === CLOSE_ASLEEP) {
      this.set({ is: "asleep" });
    } else {
      this.retry();
    }
  }

  private retry(): void {
    const attempt = this.attempt++;
    this.set({ is: "waiting", attempt });
    // A hidden page does not keep asking; it is nudged when somebody looks at it again.
    if (this.options.visible()) {
      this.timers.after("connect", backoff(attempt), () => this.connect());
    }
  }

  private ping(): void {
    this.timers.after("ping", PING_EVERY, () => {
      this.socket?.send("ping");
      this.ping();
    });
  }

  private checkAlive(): void {
    const left = DEAD_AFTER - (Date.now() - this.lastMessage);
    if (!this.socket) {
      return;
    }
    if (left > 0) {
      this.timers.after("dead", left, () => this.checkAlive());
    } else {
      this.closed(1006);
    }
  }

  private sendAttach(): void {
    const { columns, rows } = this.size;
    const attach: frames.Attach = { columns, rows, key: this.options.key };
    if (this.epoch !== null && this.resumable) {
      attach.epoch = this.epoch;
      attach.offset = this.output.received;
    }
    this.timers.cancel("attach");
    this.socket?.send(frames.encodeAttach(attach));
  }

  private receive(data: ArrayBuffer): void {
    let frame: frames.Received;
    try {
      frame = frames.decode(data);
    } catch (error) {
      this.startOver(`An unreadable message arrived (${String(error)}).`);
      return;
    }
    switch (frame.type) {
      case "ready":
        this.ready(frame.ready);
        break;
      case "output":
        this.received(frame.offset, frame.bytes);
        break;
      case "input-acknowledge":
        this.inputAcknowledged(frame.number);
        break;
      case "truncated":
        this.output.skip(frame.from, frame.to);
        break;
      case "end":
        this.set({ is: "ended", end: frame.end });
        break;
      case "size":
        this.foreignSize(frame.columns, frame.rows);
        break;
      case "notice":
        this.noticed(frame.notice);
        break;
    }
  }

  private ready(ready: frames.Ready): void {
    const otherShell = this.epoch !== null && this.epoch !== ready.epoch;
    if (!ready.reset && (otherShell || ready.offset !== this.output.received)) {
      this.startOver("The output does not continue where it stopped.");
      return;
    }
    if (ready.reset) {
      // A shell that is new has nothing to repeat: its first queries are meant for us.
      this.output.reset(ready.offset, !this.fresh);
      this.resumable = true;
    }
    if (otherShell) {
      const dropped = this.input.restart(ready.input);
      if (dropped > 0) {
        this.options.screen.say(
          `This is another shell: ${dropped} bytes typed for the last one were not sent.`,
        );
      }
    }
    this.fresh = false;
    this.epoch = ready.epoch;
    this.attached = true;
    // Only a connection that lasts earns quick retries again.
    this.timers.after("steady", STEADY_AFTER, () => {
      this.attempt = 0;
    });
    this.lastInputAcknowledge = ready.input;
    this.input.acknowledge(ready.input);
    this.foreignSize(ready.columns, ready.rows);
    this.set({ is: "live" });
    this.sendPending();
  }

  private received(offset: number, bytes: Uint8Array): void {
    const missing = this.output.take(offset, bytes);
    if (missing > 0) {
      this.startOver(`${missing} bytes of output are missing.`);
    }
  }

  private sendAcknowledge(offset: number): boolean {
    if (!this.attached) {
      return false;
    }
    this.socket?.send(frames.encodeAcknowledge(offset));
    return true;
  }

  private inputAcknowledged(number: number): void {
    const again = number === this.lastInputAcknowledge;
    this.lastInputAcknowledge = number;
    this.input.acknowledge(number);
    if (again) {
      // The agent repeats itself when a number was skipped on the way: send again what it lacks.
      this.sendPending();
    }
  }

  private sendPending(): void {
    for (const { number, bytes } of this.input.pending()) {
      this.socket?.send(frames.encodeInput(number, bytes));
    }
  }

  private foreignSize(columns: number, rows: number): void {
    this.sizeIsOurs = columns === this.size.columns && rows === this.size.rows;
    this.options.screen.resize(columns, rows);
  }

  private noticed(notice: frames.Notice): void {
    switch (notice.is) {
      case "waking":
        this.detached();
        this.set({ is: "waking" });
        break;
      case "connected":
        // Also when we were attached: the agent's socket is a new one, and knows nothing of us.
        this.attached = false;
        this.sendAttach();
        this.set({ is: "connecting" });
        break;
      case "asleep":
        this.detached();
        this.set({ is: "asleep" });
        break;
      case "sleeping":
        this.set({ is: "sleeping" });
        break;
      case "failed":
        this.detached();
        this.set({ is: "failed", reason: notice.reason });
        break;
    }
  }

  // There is no agent to talk to now: `connected` says when there is one again.
  private detached(): void {
    this.attached = false;
    this.timers.cancel("attach");
  }

  private startOver(why: string): void {
    this.options.screen.say(`${why} Loading it again.`);
    this.resumable = false;
    this.drop();
    this.retry();
  }

  private set(status: Status): void {
    if (this.status.is === "ended" && status.is !== "ended") {
      return;
    }
    this.status = status;
    this.options.onStatus(status);
  }
}

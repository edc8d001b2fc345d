// One terminal's connection: attaches, resumes by offset, numbers input, acknowledges what was parsed, and comes back
// after drops. No DOM: the emulator is behind `Screen`, the network behind `Socket`.
import * as frames from "./frames";
import { InputQueue } from "./input";
import { backoff, CLOSE_ASLEEP, refusal, type Status } from "./status";

/** The part of a WebSocket that is used. */
export interface Socket {
  send(data: Uint8Array<ArrayBuffer> | string): void;
  close(code?: number): void;
  onopen: (() => void) | null;
  onmessage: ((data: ArrayBuffer | string) => void) | null;
  onclose: ((code: number) => void) | null;
}

/** The emulator. Calls take effect in the order they are made. */
export interface Screen {
  /** Clears everything; `replay` says whether old output follows, whose queries must not be answered. */
  reset(replay: boolean): void;
  /** The replay is over. */
  live(): void;
  /** `parsed` is called when the emulator has processed the bytes. */
  write(bytes: Uint8Array, parsed: () => void): void;
  /** A dim line of our own. */
  say(line: string): void;
  /** The terminal's size as the shell sees it. */
  resize(columns: number, rows: number): void;
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

const ACKNOWLEDGE_BYTES = 32 * 1024;
const ACKNOWLEDGE_AFTER = 50;
const RESIZE_AFTER = 50;
const PING_EVERY = 20_000;
const DEAD_AFTER = 45_000;
/** Output that arrives without a pause of this length after a reset is taken for old output. */
const REPLAY_QUIET = 200;
const STEADY_AFTER = 3000;
const ATTACH_ANYWAY = 1000;

export class TerminalStream {
  private socket: Socket | null = null;
  private status: Status = { is: "connecting" };
  private readonly input = new InputQueue();
  private epoch: number | null = null;
  /** Whether what is on the screen can be continued from `received`. */
  private resumable = false;
  /** Grows with every reset, so that callbacks from before it are told apart. */
  private run = 0;
  /** The next offset we want. */
  private received = 0;
  private parsed = 0;
  private acknowledged = 0;
  private attached = false;
  private lastInputAcknowledge = -1;
  private replayFrom: number | null = null;
  private attempt = 0;
  private wakeNext: boolean;
  private fresh: boolean;
  private size: { columns: number; rows: number };
  private sizeIsOurs = true;
  private lastMessage = 0;
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();
  private disposed = false;

  constructor(private readonly options: StreamOptions) {
    this.wakeNext = options.wake;
    this.fresh = options.fresh;
    this.size = options.size;
  }

  start(): void {
    this.connect();
  }

  dispose(): void {
    this.disposed = true;
    this.drop();
    for (const timer of this.timers.values()) {
      clearTimeout(timer);
    }
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
    this.after("resize", RESIZE_AFTER, () => {
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
    this.cancel("connect");
    const socket = this.options.connect(this.wakeNext);
    this.socket = socket;
    this.set({ is: this.wakeNext && this.status.is === "asleep" ? "waking" : "connecting" });
    this.wakeNext = false;
    this.lastMessage = Date.now();
    socket.onopen = () => {
      // The object says `connected` when an agent can hear us, mostly at once; do not rely on it for ever.
      this.after("attach", ATTACH_ANYWAY, () => this.sendAttach());
      this.ping();
      this.after("dead", DEAD_AFTER, () => this.checkAlive());
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
    this.cancel("ping");
    this.cancel("dead");
    this.cancel("steady");
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
      this.after("connect", backoff(attempt), () => this.connect());
    }
  }

  private ping(): void {
    this.after("ping", PING_EVERY, () => {
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
      this.after("dead", left, () => this.checkAlive());
    } else {
      this.closed(1006);
    }
  }

  private sendAttach(): void {
    const { columns, rows } = this.size;
    const attach: frames.Attach = { columns, rows, key: this.options.key };
    if (this.epoch !== null && this.resumable) {
      attach.epoch = this.epoch;
      attach.offset = this.received;
    }
    this.cancel("attach");
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
        this.output(frame.offset, frame.bytes);
        break;
      case "input-acknowledge":
        this.inputAcknowledged(frame.number);
        break;
      case "truncated":
        this.truncated(frame.from, frame.to);
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
    if (!ready.reset && (otherShell || ready.offset !== this.received)) {
      this.startOver("The output does not continue where it stopped.");
      return;
    }
    if (ready.reset) {
      const replay = !this.fresh;
      this.options.screen.reset(replay);
      this.replayFrom = replay ? ready.offset : null;
      this.received = ready.offset;
      this.parsed = ready.offset;
      this.acknowledged = ready.offset;
      this.resumable = true;
      this.run++;
      this.stillReplaying();
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
    this.after("steady", STEADY_AFTER, () => {
      this.attempt = 0;
    });
    this.lastInputAcknowledge = ready.input;
    this.input.acknowledge(ready.input);
    this.foreignSize(ready.columns, ready.rows);
    this.set({ is: "live" });
    this.sendPending();
  }

  private output(offset: number, bytes: Uint8Array): void {
    const skip = this.received - offset;
    if (skip < 0) {
      this.startOver(`${-skip} bytes of output are missing.`);
      return;
    }
    if (skip >= bytes.length) {
      return;
    }
    const rest = skip > 0 ? bytes.subarray(skip) : bytes;
    this.received += rest.length;
    const end = this.received;
    const run = this.run;
    this.options.screen.write(rest, () => {
      // What a reset has overtaken says nothing about the new numbers.
      if (run === this.run && end > this.parsed) {
        this.parsed = end;
        this.acknowledge();
      }
    });
    this.stillReplaying();
  }

  private acknowledge(): void {
    if (this.parsed - this.acknowledged >= ACKNOWLEDGE_BYTES) {
      this.sendAcknowledge();
    } else if (!this.timers.has("acknowledge")) {
      this.after("acknowledge", ACKNOWLEDGE_AFTER, () => this.sendAcknowledge());
    }
  }

  private sendAcknowledge(): void {
    this.cancel("acknowledge");
    if (this.attached && this.parsed > this.acknowledged) {
      this.acknowledged = this.parsed;
      this.socket?.send(frames.encodeAcknowledge(this.parsed));
    }
  }

  // Nothing marks the end of old output, so it is over when output pauses, or when more came than is ever kept.
  private stillReplaying(): void {
    if (this.replayFrom === null) {
      return;
    }
    if (this.received - this.replayFrom > frames.RING_BYTES) {
      this.replayFrom = null;
      this.cancel("replay");
      this.options.screen.live();
      return;
    }
    this.after("replay", REPLAY_QUIET, () => {
      if (this.parsed < this.received) {
        this.stillReplaying();
      } else {
        this.replayFrom = null;
        this.options.screen.live();
      }
    });
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

  private truncated(from: number, to: number): void {
    if (to < this.received) {
      return;
    }
    this.options.screen.say(`${(to - from).toLocaleString("en")} bytes of output are no longer kept.`);
    this.received = to;
    this.parsed = to;
    this.stillReplaying();
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
    this.cancel("attach");
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

  private after(name: string, milliseconds: number, then: () => void): void {
    this.cancel(name);
    if (!this.disposed) {
      this.timers.set(
        name,
        setTimeout(() => {
          this.timers.delete(name);
          then();
        }, milliseconds),
      );
    }
  }

  private cancel(name: string): void {
    clearTimeout(this.timers.get(name));
    this.timers.delete(name);
  }
}

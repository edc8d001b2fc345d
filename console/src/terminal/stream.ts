// One terminal's stream over any number of sockets: attaches, comes back after drops, numbers input, and says what the
// connection is doing. What arrives is `Follower`'s. No DOM: the emulator is behind `Screen`, the network behind `Socket`.
import { Connection, type Socket } from "./connection";
import { decode } from "./decode";
import { Broken, Follower } from "./follower";
import * as frames from "./frames";
import { InputQueue } from "./input";
import { Output } from "./output";
import type { Screen, Size } from "./screen";
import { backoff, CLOSE_ASLEEP, describeBytes, refusal, type Status } from "./status";
import { Timers } from "./timers";
import { WindowSize } from "./window-size";

/** What the page is told. */
export interface StreamEvents {
  status(status: Status): void;
  /** Something that people should know and that passes. */
  note(text: string): void;
  /** The terminal's size, and whether it is ours. */
  size(size: Size, owner: boolean): void;
  people(people: readonly frames.Person[]): void;
  /** What runs in the foreground; `null` while that is not known. */
  foreground(now: frames.Foreground | null): void;
  /** When the idle machine goes to sleep, Unix ms; `null` when that is called off, or is not known any more. */
  idle(sleepsAt: number | null): void;
}

export interface StreamOptions {
  connect(wake: boolean): Socket;
  screen: Screen;
  key: string;
  size: Size;
  /** Whether the first connection may wake the machine. */
  wake: boolean;
  /** Whether the shell is new and goes on below what the screen shows of another one. */
  below: boolean;
  visible(): boolean;
  on: StreamEvents;
}

const STEADY_AFTER = 3000;
const ATTACH_ANYWAY = 1000;

export class TerminalStream {
  private status: Status = { is: "connecting" };
  private readonly timers = new Timers();
  private readonly input = new InputQueue();
  private readonly follower: Follower;
  private readonly connection: Connection;
  /** Whether the agent hears us and the screen is in step with it. */
  private attached = false;
  /** What runs, as far as this attachment was told: that may come before the screen. */
  private foreground: frames.Foreground | null = null;
  private readonly size: WindowSize;
  private warned = false;
  private attempt = 0;
  /** Whether the next connection wakes the machine. */
  private wakeNext: boolean;
  /** Whether this one did. */
  private waked = false;
  private disposed = false;

  constructor(private readonly options: StreamOptions) {
    this.wakeNext = options.wake;
    const { screen, on } = options;
    const send = (size: Size) => this.sendSize(size);
    this.size = new WindowSize(options.size, screen, this.timers, send, on.size);
    const output = new Output(screen, this.timers, (offset) => this.sendAcknowledge(offset));
    this.follower = new Follower(screen, output, options.below, {
      note: on.note,
      another: (applied) => this.dropInput("it is another one now", applied),
      inStep: (ready) => this.inStep(ready),
      keptShown: (size) => on.size(size, true),
    });
    this.connection = new Connection(options.connect, this.timers, {
      // The object says `connected` when an agent can hear us, mostly at once; do not rely on it for ever.
      opened: () => this.timers.after("attach", ATTACH_ANYWAY, () => this.sendAttach()),
      received: (message) => this.receive(message),
      closed: (code) => this.closed(code),
    });
  }

  start(): void {
    this.connect();
  }

  dispose(): void {
    this.disposed = true;
    this.connection.close();
    this.timers.clear();
  }

  /** The shell's last known working directory. */
  get directory(): string | null {
    return this.follower.directory;
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
    } else if (this.connection.exists) {
      this.connection.probe();
    }
  }

  /** What a person typed or pasted. Kept until it is applied; wakes a machine that sleeps. */
  type(bytes: Uint8Array): void {
    if (this.status.is === "ended" || this.status.is === "closed" || bytes.length === 0) {
      return;
    }
    if (!this.input.push(bytes)) {
      this.options.on.note("Too much input is waiting; this was not taken.");
      return;
    }
    this.claim();
    // What is typed is what calls it off.
    this.idle(null);
    if (this.attached) {
      this.sendInput();
    } else if (this.status.is === "asleep") {
      this.wake();
    }
  }

  /** What the emulator reports of the mouse and the focus: of use now, to the shell whose window this is, or never. */
  report(bytes: Uint8Array): void {
    if (this.attached && this.size.owner) {
      this.type(bytes);
    }
  }

  /** Our window has another size now. The terminal gets it if it is ours. */
  resize(columns: number, rows: number): void {
    this.size.resize({ columns, rows });
  }

  /** Somebody uses this window: the terminal gets its size. */
  claim(): void {
    if (this.attached) {
      this.size.claim();
    }
  }

  private connect(): void {
    if (this.disposed) {
      return;
    }
    this.detached();
    this.follower.disconnected();
    this.timers.cancel("connect");
    this.timers.cancel("steady");
    this.waked = this.wakeNext;
    this.wakeNext = false;
    this.connection.open(this.waked);
    this.set({ is: this.waked && this.status.is === "asleep" ? "waking" : "connecting" });
  }

  private closed(code: number): void {
    this.detached();
    this.timers.cancel("steady");
    if (this.status.is === "ended" || this.status.is === "failed") {
      return;
    }
    const why = refusal(code);
    if (why) {
      this.set({ is: "closed", why });
    } else if (code === CLOSE_ASLEEP) {
      this.asleep();
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

  // There is no agent to talk to now: `connected` says when there is one again.
  private detached(): void {
    this.attached = false;
    this.follower.detached();
    this.timers.cancel("attach");
  }

  private sendAttach(): void {
    const attach: frames.Attach = {
      ...this.size.ours,
      key: this.options.key,
      foreground: true,
      ...this.follower.wish(),
    };
    this.timers.cancel("attach");
    this.connection.send(frames.encodeAttach(attach));
  }

  private sendSize({ columns, rows }: Size): void {
    if (this.attached) {
      this.connection.send(frames.encodeResize(columns, rows));
    }
  }

  private sendAcknowledge(offset: number): boolean {
    if (this.attached) {
      this.connection.send(frames.encodeAcknowledge(offset));
    }
    return this.attached;
  }

  private sendInput(): void {
    for (const { number, bytes } of this.input.due()) {
      this.connection.send(frames.encodeInput(number, bytes));
    }
  }

  private receive(data: ArrayBuffer): void {
    try {
      const frame = decode(data);
      if (frame) {
        this.take(frame);
      }
    } catch (error) {
      if (error instanceof Broken) {
        this.startOver(error.message);
      } else if (error instanceof frames.InvalidFrame) {
        this.startOver(`An unreadable message arrived (${error.message}).`);
      } else {
        throw error;
      }
    }
  }

  private take(frame: frames.Received): void {
    switch (frame.type) {
      case "ready":
        this.foreground = null;
        if (this.follower.ready(frame.ready)) {
          this.sendAttach();
        }
        break;
      case "snapshot-part":
        this.follower.snapshotPart(frame.position, frame.bytes);
        break;
      case "output":
        this.follower.received(frame.offset, frame.bytes);
        break;
      case "input-acknowledge":
        if (this.attached) {
          this.input.acknowledge(frame.number);
          this.sendInput();
        }
        break;
      case "truncated":
        this.follower.truncated(frame.from, frame.to);
        break;
      case "end":
        this.ended(frame.end);
        break;
      case "size":
        if (this.attached) {
          this.size.is(frame, frame.owner);
        }
        break;
      case "foreground":
        this.foreground = frame.foreground;
        if (this.attached) {
          this.options.on.foreground(frame.foreground);
        }
        break;
      case "notice":
        this.noticed(frame.notice);
        break;
      case "kept":
        // It comes only while there is no agent.
        this.detached();
        this.follower.keptHead(frame.head);
        this.keptShown();
        break;
      case "kept-part":
        this.follower.keptPart(frame.position, frame.bytes);
        this.keptShown();
        break;
    }
  }

  private inStep(ready: frames.Ready): void {
    this.attached = true;
    // Only a connection that lasts earns quick retries again.
    this.timers.after("steady", STEADY_AFTER, () => {
      this.attempt = 0;
    });
    this.input.sendAgain(ready.input);
    this.size.is(ready, ready.owner);
    this.set({ is: "live" });
    if (this.foreground) {
      this.options.on.foreground(this.foreground);
    }
    this.sendInput();
  }

  private dropInput(why: string, applied: number): void {
    const dropped = this.input.restart(applied);
    if (dropped > 0) {
      this.options.on.note(`Typed input (${describeBytes(dropped)}) did not reach the shell: ${why}.`);
    }
  }

  private ended(end: Extract<Status, { is: "ended" }>["end"]): void {
    this.dropInput("it has ended", 0);
    this.set({ is: "ended", end });
  }

  private keptShown(): void {
    if (this.status.is === "asleep") {
      this.set({ is: "asleep", since: this.follower.keptAt });
    }
  }

  private noticed(notice: frames.Notice): void {
    switch (notice.is) {
      case "waking":
        this.detached();
        this.set({ is: "waking" });
        break;
      case "connected":
        // Also when we were attached: the agent's socket is a new one, and knows nothing of us.
        this.detached();
        this.sendAttach();
        this.set({ is: "connecting" });
        break;
      case "asleep":
        this.asleep();
        break;
      case "sleeping":
        this.set({ is: "sleeping" });
        break;
      case "people":
        this.options.on.people(notice.people);
        break;
      case "failed":
        this.detached();
        this.set({ is: "failed", reason: notice.reason });
        break;
      case "idle_soon":
        this.idle(Date.now() + notice.in_ms);
        break;
      case "idle_over":
        this.idle(null);
        break;
    }
  }

  private asleep(): void {
    this.detached();
    this.set({ is: "asleep", since: this.follower.keptAt });
    // What was typed on the way here wakes it, like what is typed now; once, for it may be refused.
    if (!this.input.isEmpty && !this.waked) {
      this.wake();
    }
  }

  private startOver(why: string): void {
    this.options.on.note(`${why} Loading it again.`);
    this.follower.startOver();
    this.detached();
    this.connection.close();
    this.retry();
  }

  private idle(sleepsAt: number | null): void {
    if (sleepsAt !== null || this.warned) {
      this.warned = sleepsAt !== null;
      this.options.on.idle(sleepsAt);
    }
  }

  private set(status: Status): void {
    if (this.status.is === "ended" && status.is !== "ended") {
      return;
    }
    if (status.is !== "live") {
      this.idle(null);
      if (this.status.is === "live") {
        this.options.on.foreground(null);
      }
    }
    this.status = status;
    this.options.on.status(status);
  }
}

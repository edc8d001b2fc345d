// One terminal's stream: attaches, resumes by offset, draws snapshots and kept screens, numbers input, acknowledges what
// was parsed, and comes back after drops. No DOM: the emulator is behind `Screen`, the network behind `Socket`.
import { Assembly } from "./assembly";
import { Connection, type Socket } from "./connection";
import { decode } from "./decode";
import * as frames from "./frames";
import { InputQueue } from "./input";
import { KeptScreen } from "./kept";
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
  private readonly output: Output;
  private readonly connection: Connection;
  private epoch: number | null = null;
  /** Whether what is on the screen can be continued from where it stopped. */
  private resumable = false;
  private attached = false;
  private below: boolean;
  private snapshot: Assembly<frames.SnapshotHead> | null = null;
  /** What `ready` said that announced the snapshot. */
  private announced: frames.Ready | null = null;
  private readonly kept = new KeptScreen();
  private readonly size: WindowSize;
  private attempt = 0;
  /** Whether the next connection wakes the machine. */
  private wakeNext: boolean;
  /** Whether this one did. */
  private waked = false;
  private disposed = false;

  constructor(private readonly options: StreamOptions) {
    this.wakeNext = options.wake;
    this.below = options.below;
    const { screen, on } = options;
    const send = (size: Size) => this.sendSize(size);
    this.size = new WindowSize(options.size, screen, this.timers, send, on.size);
    this.output = new Output(screen, this.timers, (offset) => this.sendAcknowledge(offset));
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
    return this.kept.directory;
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
    const numbered = this.input.push(bytes);
    if (!numbered) {
      this.options.on.note("Too much input is waiting; this was not taken.");
      return;
    }
    this.claim();
    if (this.attached) {
      for (const piece of numbered) {
        this.connection.send(frames.encodeInput(piece.number, piece.bytes));
      }
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
    this.timers.cancel("connect");
    this.timers.cancel("steady");
    this.kept.interrupted();
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
    this.snapshot = null;
    this.timers.cancel("attach");
  }

  private sendAttach(): void {
    const { columns, rows } = this.size.ours;
    // Below another shell's text, a snapshot would not do: it stands for the whole screen.
    const follow = this.below && !this.resumable ? "bytes" : "screen";
    const attach: frames.Attach = { columns, rows, key: this.options.key, follow };
    if (this.epoch !== null && this.resumable) {
      attach.epoch = this.epoch;
      attach.offset = this.output.received;
    }
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

  private sendPending(): void {
    for (const { number, bytes } of this.input.pending()) {
      this.connection.send(frames.encodeInput(number, bytes));
    }
  }

  private receive(data: ArrayBuffer): void {
    let frame: frames.Received;
    try {
      frame = decode(data);
    } catch (error) {
      this.startOver(`An unreadable message arrived (${String(error)}).`);
      return;
    }
    switch (frame.type) {
      case "ready":
        this.ready(frame.ready);
        break;
      case "snapshot-part":
        this.snapshotPart(frame.position, frame.bytes);
        break;
      case "output":
        this.received(frame.offset, frame.bytes);
        break;
      case "input-acknowledge":
        if (this.input.acknowledge(frame.number)) {
          this.sendPending();
        }
        break;
      case "truncated":
        this.truncated(frame.from, frame.to);
        break;
      case "end":
        this.ended(frame.end);
        break;
      case "size":
        this.size.is(frame, frame.owner);
        break;
      case "notice":
        this.noticed(frame.notice);
        break;
      case "kept":
        this.showKept(this.kept.announce(frame.head));
        break;
      case "kept-part":
        this.showKept(this.kept.take(frame.position, frame.bytes));
        break;
    }
  }

  private ready(ready: frames.Ready): void {
    this.snapshot = ready.snapshot && new Assembly(ready.snapshot);
    this.announced = ready;
    if (this.snapshot) {
      // Nothing changes until it is there: what is shown stays, and is still what the next attach goes on from.
      this.snapshotArrived(this.snapshot, ready);
      return;
    }
    const otherShell = this.epoch !== null && this.epoch !== ready.epoch;
    // Output may come twice after we attached twice, but never with a hole.
    if (!ready.reset && (otherShell || ready.offset > this.output.received)) {
      this.startOver("The output does not continue where it stopped.");
      return;
    }
    if (ready.reset) {
      this.clear();
      this.output.start(ready.offset);
    }
    this.follow(ready);
  }

  private snapshotPart(position: number, bytes: Uint8Array): void {
    const { snapshot, announced } = this;
    if (!snapshot || !announced || !snapshot.take(position, bytes)) {
      this.startOver("A part of the screen is missing.");
      return;
    }
    this.snapshotArrived(snapshot, announced);
  }

  private snapshotArrived(snapshot: Assembly<frames.SnapshotHead>, ready: frames.Ready): void {
    if (!snapshot.complete) {
      return;
    }
    this.snapshot = null;
    this.clear();
    // It was rendered at the terminal's size, so that size comes first.
    this.options.screen.resize(ready.columns, ready.rows);
    this.output.startWith(ready.offset, snapshot.bytes);
    if (snapshot.head.dropped_lines > 0) {
      this.options.on.note(
        `The oldest ${snapshot.head.dropped_lines.toLocaleString("en")} lines are not shown.`,
      );
    }
    this.follow(ready);
  }

  /** What the screen shows goes on from here, in step with the agent. */
  private follow(ready: frames.Ready): void {
    const firstBelow = this.below && !this.resumable;
    this.belongsTo(ready.epoch, ready.input);
    this.resumable = true;
    this.attached = true;
    this.output.liveAt(ready.live);
    // Only a connection that lasts earns quick retries again.
    this.timers.after("steady", STEADY_AFTER, () => {
      this.attempt = 0;
    });
    this.input.acknowledge(ready.input);
    this.size.is(ready, ready.owner);
    this.set({ is: "live" });
    this.sendPending();
    if (firstBelow) {
      // From here on a snapshot may stand for what is missed.
      this.below = false;
      this.sendAttach();
    }
  }

  private clear(): void {
    if (this.below && !this.resumable) {
      this.options.screen.resetBelow();
    } else {
      this.options.screen.reset();
    }
  }

  /** The screen is of this shell now; what was typed for another one is dropped, and that is said. */
  private belongsTo(epoch: number, applied: number): void {
    if (this.epoch !== null && this.epoch !== epoch) {
      this.dropInput("it is another one now", applied);
    }
    this.epoch = epoch;
  }

  private dropInput(why: string, applied: number): void {
    const dropped = this.input.restart(applied);
    if (dropped > 0) {
      this.options.on.note(`Typed input (${describeBytes(dropped)}) did not reach the shell: ${why}.`);
    }
  }

  private received(offset: number, bytes: Uint8Array): void {
    const missing = this.snapshot ? 1 : this.output.take(offset, bytes);
    if (missing > 0) {
      this.startOver(this.snapshot ? "A part of the screen is missing." : "A part of the output is missing.");
    }
  }

  private truncated(from: number, to: number): void {
    if (to <= from) {
      return;
    }
    this.options.on.note(`${describeBytes(to - from)} of output in between are not shown.`);
    // A snapshot stands for what is gone; without one, output goes on behind the hole.
    if (!this.snapshot) {
      this.output.skip(to);
    }
  }

  private ended(end: Extract<Status, { is: "ended" }>["end"]): void {
    this.dropInput("it has ended", 0);
    this.set({ is: "ended", end });
  }

  private showKept(screen: Assembly<frames.KeptHead> | null): void {
    if (!screen || this.attached) {
      return;
    }
    const { head } = screen;
    if (!this.resumable || this.epoch !== head.epoch || this.output.received < head.offset) {
      this.clear();
      this.options.screen.resize(head.columns, head.rows);
      this.options.on.size(head, true);
      this.belongsTo(head.epoch, 0);
      this.resumable = true;
      this.output.startWith(head.offset, screen.bytes);
    }
    if (this.status.is === "asleep") {
      this.set({ is: "asleep", since: head.at_ms });
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
    }
  }

  private asleep(): void {
    this.detached();
    this.set({ is: "asleep", since: this.kept.at });
    // What was typed on the way here wakes it, like what is typed now; once, for it may be refused.
    if (this.input.pending().length > 0 && !this.waked) {
      this.wake();
    }
  }

  private startOver(why: string): void {
    this.options.on.note(`${why} Loading it again.`);
    this.resumable = false;
    this.detached();
    this.connection.close();
    this.retry();
  }

  private set(status: Status): void {
    if (this.status.is === "ended" && status.is !== "ended") {
      return;
    }
    this.status = status;
    this.options.on.status(status);
  }
}

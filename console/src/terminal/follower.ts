// What a client has of a shell's stream, and where it goes on: whether a `ready` continues it, snapshots, output, holes,
// kept screens. It holds the other side to the stream's promises: what breaks one is thrown as `Broken`, never skipped
// over. No sockets, no input, no page.
import { Assembly } from "./assembly";
import type { Attach, KeptHead, Ready, SnapshotHead } from "./frames";
import { KeptScreen } from "./kept";
import type { Output } from "./output";
import type { Screen, Size } from "./screen";
import { describeBytes } from "./status";

/** A promise of the stream that was not kept. The message is for people. */
export class Broken extends Error {
  override name = "Broken";
}

export interface FollowerEvents {
  /** Something that people should know and that passes. */
  note(text: string): void;
  /** The screen is of another shell now, which has applied so much input. */
  another(applied: number): void;
  /** The screen is in step with the agent, which said this. */
  inStep(ready: Ready): void;
  /** The screen shows what was kept of a terminal of this size. */
  keptShown(size: Size): void;
}

export class Follower {
  private epoch: number | null = null;
  /** Whether what is on the screen can be continued from where it stopped. */
  private resumable = false;
  /** Whether `ready` was heard since we attached last. What comes before it was meant for a place that is given up. */
  private answered = false;
  private snapshot: Assembly<SnapshotHead> | null = null;
  /** What `ready` said that announced the snapshot. */
  private announced: Ready | null = null;
  private readonly kept = new KeptScreen();

  constructor(
    private readonly screen: Screen,
    private readonly output: Output,
    /** Whether the shell is new and goes on below what the screen shows of another one. */
    private below: boolean,
    private readonly on: FollowerEvents,
  ) {}

  /** The shell's last known working directory. */
  get directory(): string | null {
    return this.kept.directory;
  }

  /** When the screen that is kept of it was taken, Unix ms. */
  get keptAt(): number | null {
    return this.kept.at;
  }

  /** There is no agent to hear us, or another one than before. */
  detached(): void {
    this.answered = false;
    this.snapshot = null;
  }

  /** Another socket. */
  disconnected(): void {
    this.detached();
    this.kept.interrupted();
  }

  /** Nothing of what is on the screen is to be relied on. */
  startOver(): void {
    this.resumable = false;
  }

  /** What is asked for. */
  wish(): Pick<Attach, "follow" | "epoch" | "offset"> {
    // Below another shell's text, a snapshot would not do: it stands for the whole screen.
    const follow = this.below && !this.resumable ? "bytes" : "screen";
    return this.epoch !== null && this.resumable
      ? { follow, epoch: this.epoch, offset: this.output.received }
      : { follow };
  }

  /** Answers whether the bytes are to be asked for anew: with all it can have, now that there is a place to go on from. */
  ready(ready: Ready): boolean {
    this.answered = true;
    this.snapshot = ready.snapshot && new Assembly(ready.snapshot);
    this.announced = ready;
    if (this.snapshot) {
      // Nothing changes until it is there: what is shown stays, and is still what the next attach goes on from.
      this.snapshotArrived(this.snapshot, ready);
      return false;
    }
    // It may answer an earlier attach than the last: then output comes that we have, but never with a hole.
    const goesOn = this.resumable && this.epoch === ready.epoch && ready.offset <= this.output.received;
    if (goesOn) {
      this.output.resume(ready.offset);
    } else if (ready.reset) {
      this.clear();
      this.output.start(ready.offset);
    } else {
      throw new Broken("The output does not continue where it stopped.");
    }
    const firstBelow = this.below && !this.resumable;
    this.follow(ready);
    if (firstBelow) {
      // From here on a snapshot may stand for what is missed.
      this.below = false;
    }
    return firstBelow;
  }

  snapshotPart(position: number, bytes: Uint8Array): void {
    const { snapshot, announced } = this;
    if (!this.answered) {
      return;
    }
    if (!snapshot || !announced || !snapshot.take(position, bytes)) {
      throw new Broken("A part of the screen is missing.");
    }
    this.snapshotArrived(snapshot, announced);
  }

  received(offset: number, bytes: Uint8Array): void {
    if (!this.answered) {
      return;
    }
    if (this.snapshot) {
      throw new Broken("A part of the screen is missing.");
    }
    if (!this.output.take(offset, bytes)) {
      throw new Broken("A part of the output is missing.");
    }
  }

  truncated(from: number, to: number): void {
    if (!this.answered || to <= from) {
      return;
    }
    this.on.note(`${describeBytes(to - from)} of output in between are not shown.`);
    // A snapshot stands for what is gone; without one, output goes on behind the hole.
    if (!this.snapshot) {
      this.output.skip(to);
    }
  }

  /** A kept screen is announced. */
  keptHead(head: KeptHead): void {
    this.showKept(this.kept.announce(head));
  }

  keptPart(position: number, bytes: Uint8Array): void {
    this.showKept(this.kept.take(position, bytes));
  }

  private snapshotArrived(snapshot: Assembly<SnapshotHead>, ready: Ready): void {
    if (!snapshot.complete) {
      return;
    }
    this.snapshot = null;
    this.clear();
    // It was rendered at the terminal's size, so that size comes first.
    this.screen.resize(ready.columns, ready.rows);
    this.output.startWith(ready.offset, snapshot.bytes);
    if (snapshot.head.dropped_lines > 0) {
      this.on.note(`The oldest ${snapshot.head.dropped_lines.toLocaleString("en")} lines are not shown.`);
    }
    this.follow(ready);
  }

  private showKept(screen: Assembly<KeptHead> | null): void {
    if (!screen) {
      return;
    }
    const { head } = screen;
    // What was there all the time has more: scrollback, and what the kept screen stands for.
    if (this.resumable && this.epoch === head.epoch && this.output.received >= head.offset) {
      return;
    }
    this.clear();
    this.screen.resize(head.columns, head.rows);
    this.on.keptShown(head);
    this.belongsTo(head.epoch, 0);
    this.resumable = true;
    this.output.startWith(head.offset, screen.bytes);
  }

  /** What the screen shows goes on from here, in step with the agent. */
  private follow(ready: Ready): void {
    this.belongsTo(ready.epoch, ready.input);
    this.resumable = true;
    this.output.liveAt(ready.live);
    this.on.inStep(ready);
  }

  private clear(): void {
    if (this.below && !this.resumable) {
      this.screen.resetBelow();
    } else {
      this.screen.reset();
    }
  }

  private belongsTo(epoch: number, applied: number): void {
    if (this.epoch !== null && this.epoch !== epoch) {
      this.on.another(applied);
    }
    this.epoch = epoch;
  }
}

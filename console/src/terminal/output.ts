// Output on its way to the screen: each offset once and in order, acknowledged when parsed, and told apart into old
// output that is drawn again and what is written now.
import type { Screen } from "./screen";
import type { Timers } from "./timers";

const ACKNOWLEDGE_BYTES = 64 * 1024;
const ACKNOWLEDGE_AFTER = 50;

export class Output {
  /** The next offset we want. */
  received = 0;
  /** The next offset that we are sent: before `received` while what we have comes again. */
  private position = 0;
  private parsed = 0;
  private acknowledged = 0;
  /** Output before this offset is history. */
  private liveFrom = 0;
  private old = false;
  /** Grows with every reset, so that callbacks from before it are told apart. */
  private run = 0;

  constructor(
    private readonly screen: Screen,
    private readonly timers: Timers,
    /** Sends an acknowledgement; answers whether it could. */
    private readonly send: (offset: number) => boolean,
  ) {}

  /** Output goes on at the offset, with nothing before it. The screen has been cleared. */
  start(offset: number): void {
    this.received = offset;
    this.position = offset;
    this.parsed = offset;
    this.acknowledged = offset;
    this.run++;
  }

  /** Output goes on at an offset that we have, and is to be acknowledged from there on. */
  resume(offset: number): void {
    this.position = offset;
    this.acknowledged = Math.min(this.acknowledged, offset);
  }

  /** Output goes on at the offset; these bytes stand for everything before it, and are acknowledged as such. */
  startWith(offset: number, screen: readonly Uint8Array[]): void {
    this.start(offset);
    this.parsed = -1;
    this.acknowledged = -1;
    this.setOld(true);
    const last = screen.at(-1) ?? new Uint8Array();
    for (const part of screen.slice(0, -1)) {
      this.screen.write(part, () => {});
    }
    this.write(last, offset);
    this.setOld(this.received < this.liveFrom);
  }

  /** The stream's end is here now: what comes before it is history. */
  liveAt(offset: number): void {
    this.liveFrom = offset;
    this.setOld(this.received < offset);
  }

  /** Takes what is new of these bytes; `false` when some are missing before them. */
  take(offset: number, bytes: Uint8Array): boolean {
    const known = this.received - offset;
    if (known < 0) {
      return false;
    }
    this.position = offset + bytes.length;
    if (known >= bytes.length) {
      this.acknowledge();
      return true;
    }
    let rest = known > 0 ? bytes.subarray(known) : bytes;
    const left = this.liveFrom - this.received;
    if (this.old && left > 0 && left < rest.length) {
      // The end of history lies within this frame.
      this.pass(rest.subarray(0, left));
      rest = rest.subarray(left);
    }
    this.pass(rest);
    return true;
  }

  /** These offsets are gone. */
  skip(to: number): void {
    if (to > this.received) {
      this.received = to;
      this.position = to;
      this.parsed = to;
      this.setOld(this.received < this.liveFrom);
    }
  }

  private pass(bytes: Uint8Array): void {
    this.received += bytes.length;
    this.write(bytes, this.received);
    this.setOld(this.received < this.liveFrom);
  }

  private write(bytes: Uint8Array, end: number): void {
    const run = this.run;
    this.screen.write(bytes, () => {
      // What a reset has overtaken says nothing about the new numbers.
      if (run === this.run && end > this.parsed) {
        this.parsed = end;
        this.acknowledge();
      }
    });
  }

  private setOld(old: boolean): void {
    if (old !== this.old) {
      this.old = old;
      this.screen.history(old);
    }
  }

  /** What may be acknowledged: parsed, and sent by the agent that is to hear of it. */
  private get done(): number {
    return Math.min(this.parsed, this.position);
  }

  private acknowledge(): void {
    if (this.acknowledged >= 0 && this.done - this.acknowledged >= ACKNOWLEDGE_BYTES) {
      this.sendAcknowledge();
    } else if (!this.timers.has("acknowledge")) {
      this.timers.after("acknowledge", ACKNOWLEDGE_AFTER, () => this.sendAcknowledge());
    }
  }

  private sendAcknowledge(): void {
    this.timers.cancel("acknowledge");
    const { done } = this;
    if (done > this.acknowledged && this.send(done)) {
      this.acknowledged = done;
    }
  }
}

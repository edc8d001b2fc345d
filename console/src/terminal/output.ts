// Output on its way to the screen: each offset once and in order, acknowledged when parsed, and told apart into old
// output that is drawn again and what is written now.
import { RING_BYTES } from "./frames";
import type { Screen } from "./screen";
import type { Timers } from "./timers";

const ACKNOWLEDGE_BYTES = 32 * 1024;
const ACKNOWLEDGE_AFTER = 50;
/** Output that arrives without a pause of this length after a reset is taken for old output. */
const REPLAY_QUIET = 200;

export class Output {
  /** The next offset we want. */
  received = 0;
  private parsed = 0;
  private acknowledged = 0;
  /** Where the old output began, while it comes. */
  private replayFrom: number | null = null;
  /** Grows with every reset, so that callbacks from before it are told apart. */
  private run = 0;

  constructor(
    private readonly screen: Screen,
    private readonly timers: Timers,
    /** Sends an acknowledgement; answers whether it could. */
    private readonly send: (offset: number) => boolean,
  ) {}

  /** Clears the screen; output goes on at the offset. */
  reset(offset: number, replay: boolean): void {
    this.screen.reset(replay);
    this.replayFrom = replay ? offset : null;
    this.received = offset;
    this.parsed = offset;
    this.acknowledged = offset;
    this.run++;
    this.stillReplaying();
  }

  /** Takes what is new of these bytes; answers how many bytes are missing before them. */
  take(offset: number, bytes: Uint8Array): number {
    const known = this.received - offset;
    if (known < 0) {
      return -known;
    }
    if (known >= bytes.length) {
      return 0;
    }
    const rest = known > 0 ? bytes.subarray(known) : bytes;
    this.received += rest.length;
    const end = this.received;
    const run = this.run;
    this.screen.write(rest, () => {
      // What a reset has overtaken says nothing about the new numbers.
      if (run === this.run && end > this.parsed) {
        this.parsed = end;
        this.acknowledge();
      }
    });
    this.stillReplaying();
    return 0;
  }

  /** These offsets are gone. */
  skip(from: number, to: number): void {
    if (to < this.received) {
      return;
    }
    this.screen.say(`${(to - from).toLocaleString("en")} bytes of output are no longer kept.`);
    this.received = to;
    this.parsed = to;
    this.stillReplaying();
  }

  private acknowledge(): void {
    if (this.parsed - this.acknowledged >= ACKNOWLEDGE_BYTES) {
      this.sendAcknowledge();
    } else if (!this.timers.has("acknowledge")) {
      this.timers.after("acknowledge", ACKNOWLEDGE_AFTER, () => this.sendAcknowledge());
    }
  }

  private sendAcknowledge(): void {
    this.timers.cancel("acknowledge");
    if (this.parsed > this.acknowledged && this.send(this.parsed)) {
      this.acknowledged = this.parsed;
    }
  }

  // Nothing marks the end of old output, so it is over when output pauses, or when more came than is ever kept.
  private stillReplaying(): void {
    if (this.replayFrom === null) {
      return;
    }
    if (this.received - this.replayFrom > RING_BYTES) {
      this.timers.cancel("replay");
      this.live();
      return;
    }
    this.timers.after("replay", REPLAY_QUIET, () => {
      if (this.parsed < this.received) {
        this.stillReplaying();
      } else {
        this.live();
      }
    });
  }

  private live(): void {
    this.replayFrom = null;
    this.screen.live();
  }
}

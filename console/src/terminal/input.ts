// Input on its way to a shell: numbered, kept until acknowledged, sent again after a reconnect. Pure.
import { INPUT_MAX } from "./frames";

/** What may wait while nobody takes it. More would only surprise whoever typed it. */
export const PENDING_MAX = 1024 * 1024;
/** What may be on its way at a time; the rest waits here. */
export const IN_FLIGHT_MAX = 256 * 1024;

export interface Numbered {
  number: number;
  bytes: Uint8Array;
}

export class InputQueue {
  private next = 1;
  /** Not yet applied, oldest first. */
  private waiting: Numbered[] = [];
  private waitingBytes = 0;
  /** How many of them have been sent to the agent that hears us now, and their bytes. */
  private sent = 0;
  private sentBytes = 0;
  private lastAcknowledged = -1;

  /** Numbers the bytes and keeps them; `false` when too much waits already. */
  push(bytes: Uint8Array): boolean {
    if (this.waitingBytes + bytes.length > PENDING_MAX) {
      return false;
    }
    for (let start = 0; start < bytes.length; start += INPUT_MAX) {
      this.waiting.push({ number: this.next++, bytes: bytes.slice(start, start + INPUT_MAX) });
    }
    this.waitingBytes += bytes.length;
    return true;
  }

  /** What is to be sent now, in order. */
  due(): Numbered[] {
    const from = this.sent;
    let piece = this.waiting[from];
    while (piece && (this.sentBytes === 0 || this.sentBytes + piece.bytes.length <= IN_FLIGHT_MAX)) {
      this.sentBytes += piece.bytes.length;
      piece = this.waiting[++this.sent];
    }
    return this.waiting.slice(from, this.sent);
  }

  /**
   * Everything up to `number` is applied. Where this was said before, a number was skipped on the way, and what waits is
   * due again.
   */
  acknowledge(number: number): void {
    if (number === this.lastAcknowledged) {
      this.sendAgain(number);
    } else {
      this.applied(number);
    }
  }

  /** Everything up to `number` is applied, and nothing after it is on its way: all of it is due again. */
  sendAgain(number: number): void {
    this.applied(number);
    this.sent = 0;
    this.sentBytes = 0;
  }

  private applied(number: number): void {
    this.lastAcknowledged = number;
    while (this.waiting[0] && this.waiting[0].number <= number) {
      const { length } = this.waiting[0].bytes;
      this.waitingBytes -= length;
      this.waiting.shift();
      if (this.sent > 0) {
        this.sent--;
        this.sentBytes -= length;
      }
    }
    // A number we never gave means that the other side knows more of this key than we do: go on after it.
    this.next = Math.max(this.next, number + 1);
  }

  /** Whether everything is applied. */
  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  /** Another shell: numbers start after what it has applied, and what the old one missed is dropped. */
  restart(applied: number): number {
    const dropped = this.waitingBytes;
    this.waiting = [];
    this.waitingBytes = 0;
    this.next = applied + 1;
    this.sendAgain(applied);
    return dropped;
  }
}

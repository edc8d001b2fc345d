// Input on its way to a shell: numbered, kept until acknowledged, sent again after a reconnect. Pure.
import { INPUT_MAX } from "./frames";

/** What may wait while nobody takes it. More would only surprise whoever typed it. */
export const PENDING_MAX = 1024 * 1024;

export interface Numbered {
  number: number;
  bytes: Uint8Array;
}

export class InputQueue {
  private next = 1;
  private waiting: Numbered[] = [];
  private waitingBytes = 0;
  private lastAcknowledged = -1;

  /** Numbers the bytes and keeps them; `null` when too much waits already. */
  push(bytes: Uint8Array): Numbered[] | null {
    if (this.waitingBytes + bytes.length > PENDING_MAX) {
      return null;
    }
    const pieces: Numbered[] = [];
    for (let start = 0; start < bytes.length; start += INPUT_MAX) {
      pieces.push({ number: this.next++, bytes: bytes.slice(start, start + INPUT_MAX) });
    }
    this.waiting.push(...pieces);
    this.waitingBytes += bytes.length;
    return pieces;
  }

  /**
   * Everything up to `number` is applied. Answers whether this was said before: then a number was skipped on the way,
   * and what waits has to be sent again.
   */
  acknowledge(number: number): boolean {
    const again = number === this.lastAcknowledged;
    this.lastAcknowledged = number;
    while (this.waiting[0] && this.waiting[0].number <= number) {
      this.waitingBytes -= this.waiting[0].bytes.length;
      this.waiting.shift();
    }
    // A number we never gave means that the other side knows more of this key than we do: go on after it.
    this.next = Math.max(this.next, number + 1);
    return again;
  }

  /** What is not applied yet, in order. */
  pending(): readonly Numbered[] {
    return this.waiting;
  }

  /** Another shell: numbers start after what it has applied, and what the old one missed is dropped. */
  restart(applied: number): number {
    const dropped = this.waitingBytes;
    this.waiting = [];
    this.waitingBytes = 0;
    this.next = applied + 1;
    return dropped;
  }
}

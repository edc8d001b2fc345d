// A screen that arrives in parts: a snapshot, or one that was kept while the machine sleeps. It is used whole or not at
// all, so that a connection that breaks in the middle leaves what was shown. Pure.

export class Assembly<Head extends { bytes: number }> {
  private readonly parts: Uint8Array[] = [];
  private length = 0;

  constructor(readonly head: Head) {}

  /** Takes the next part; `false` when it does not continue the last one, or is more than was announced. */
  take(position: number, bytes: Uint8Array): boolean {
    if (position !== this.length || position + bytes.length > this.head.bytes) {
      return false;
    }
    this.parts.push(bytes);
    this.length += bytes.length;
    return true;
  }

  get complete(): boolean {
    return this.length === this.head.bytes;
  }

  /** What has arrived, in order. */
  get bytes(): readonly Uint8Array[] {
    return this.parts;
  }
}

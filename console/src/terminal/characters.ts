// Bytes on their way to xterm.js, cut only between characters. Its own decoder loses a character that two writes share
// when the second byte is 0x80 (`Utf8ToUtf32.decode`, as of 6.0: `interim[pos] & 0x3F` ends its loop), which a dash,
// E2 80 94, is enough for.

const NOTHING = new Uint8Array();

export class Characters {
  /** The beginning of a character, at most three bytes. */
  private begun: Uint8Array = NOTHING;

  /** What was held back and these bytes, up to the end of the last whole character. */
  whole(bytes: Uint8Array): Uint8Array {
    let all = bytes;
    if (this.begun.length > 0) {
      all = new Uint8Array(this.begun.length + bytes.length);
      all.set(this.begun);
      all.set(bytes, this.begun.length);
    }
    const end = all.length - begunAt(all);
    this.begun = all.slice(end);
    return all.subarray(0, end);
  }

  /** What comes next has nothing to do with what came before. */
  restart(): void {
    this.begun = NOTHING;
  }
}

/** How many bytes at the end begin a character that is not whole. */
function begunAt(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc2) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return byte <= 0xf4 && length > back ? back : 0;
    }
    if (byte < 0x80) {
      return 0;
    }
  }
  return 0;
}

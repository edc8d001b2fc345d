// The screen that the object keeps of a session whose machine sleeps, as it arrives, and what came with it. Pure.
import { Assembly } from "./assembly";
import type { KeptHead } from "./frames";

export class KeptScreen {
  /** Where the shell was. */
  directory: string | null = null;
  /** When the screen was kept, Unix ms. */
  at: number | null = null;
  private arriving: Assembly<KeptHead> | null = null;

  /** A screen is announced; answers with it if it is empty, and so complete. */
  announce(head: KeptHead): Assembly<KeptHead> | null {
    this.arriving = new Assembly(head);
    this.directory = head.directory;
    this.at = head.at_ms;
    return this.whole();
  }

  /** A part; answers with the screen once it is complete. One with a hole is let go: there is nothing to ask it of. */
  take(position: number, bytes: Uint8Array): Assembly<KeptHead> | null {
    if (this.arriving && !this.arriving.take(position, bytes)) {
      this.arriving = null;
    }
    return this.whole();
  }

  /** What has arrived in part belongs to a socket that is gone. */
  interrupted(): void {
    this.arriving = null;
  }

  private whole(): Assembly<KeptHead> | null {
    const screen = this.arriving?.complete ? this.arriving : null;
    if (screen) {
      this.arriving = null;
    }
    return screen;
  }
}

// Whose size the terminal has: ours when somebody typed or sized here last, another window's otherwise. While it is
// another's, the screen has that size and our own waits until somebody uses this window.
import type { Screen, Size } from "./screen";
import type { Timers } from "./timers";

const RESIZE_AFTER = 50;

export class WindowSize {
  owner = true;

  constructor(
    /** What our window holds. */
    public ours: Size,
    private readonly screen: Screen,
    private readonly timers: Timers,
    /** Sends our size, if there is an agent to send it to. */
    private readonly send: (size: Size) => void,
    private readonly told: (size: Size, owner: boolean) => void,
  ) {}

  /** Our window has another size. */
  resize(size: Size): void {
    this.ours = size;
    if (this.owner) {
      this.screen.resize(size.columns, size.rows);
      this.sendLater();
    }
  }

  /** Somebody uses this window. */
  claim(): void {
    if (!this.owner) {
      this.owner = true;
      this.screen.resize(this.ours.columns, this.ours.rows);
      this.told(this.ours, true);
      this.send(this.ours);
    }
  }

  /** The terminal has this size. */
  is(size: Size, owner: boolean): void {
    this.owner = owner;
    // What is ours may be an older size of ours: the newer one follows it.
    const { columns, rows } = owner ? this.ours : size;
    this.screen.resize(columns, rows);
    this.told({ columns, rows }, owner);
    if (columns !== size.columns || rows !== size.rows) {
      this.sendLater();
    }
  }

  private sendLater(): void {
    this.timers.after("resize", RESIZE_AFTER, () => {
      if (this.owner) {
        this.send(this.ours);
      }
    });
  }
}

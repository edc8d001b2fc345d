// What the connection needs of an emulator.

export interface Size {
  columns: number;
  rows: number;
}

/** The emulator. Calls take effect in the order they are made. */
export interface Screen {
  /** Clears everything. */
  reset(): void;
  /** Another shell goes on below what is shown: it moves up into the scrollback, and only modes are reset. */
  resetBelow(): void;
  /** Whether what is written from here on is old: then the emulator says nothing of its own about it. */
  history(old: boolean): void;
  /** `parsed` is called when the emulator has processed the bytes. */
  write(bytes: Uint8Array, parsed: () => void): void;
  /** The terminal's size as the shell sees it. */
  resize(columns: number, rows: number): void;
}

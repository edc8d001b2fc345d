// What the connection needs of an emulator.

/** The emulator. Calls take effect in the order they are made. */
export interface Screen {
  /** Clears everything; `replay` says whether old output follows, whose queries must not be answered. */
  reset(replay: boolean): void;
  /** The replay is over. */
  live(): void;
  /** `parsed` is called when the emulator has processed the bytes. */
  write(bytes: Uint8Array, parsed: () => void): void;
  /** A dim line of our own. */
  say(line: string): void;
  /** The terminal's size as the shell sees it. */
  resize(columns: number, rows: number): void;
}

// The lines of a log that a page holds: in blocks, so that what was drawn once need not be drawn again, and never more
// than LINES_MAX of them.
import type { LogLine } from "../api/schema";

export const LINES_MAX = 10_000;
const BLOCK = 200;

/** A line of the log, or something that is said between two of them. */
export interface BufferLine extends LogLine {
  readonly note?: true;
}

export interface Block {
  /** Stays the same while the block is there; earlier ones have smaller numbers. */
  readonly id: number;
  readonly lines: readonly BufferLine[];
}

export interface LogBuffer {
  readonly blocks: readonly Block[];
  readonly count: number;
  /** How many lines came since the buffer began, for whoever looks elsewhere. */
  readonly arrived: number;
  /** What there is of a line that has not ended. */
  readonly partial: LogLine | null;
  /** Whether earlier lines were let go of. */
  readonly trimmed: boolean;
}

export const EMPTY: LogBuffer = { blocks: [], count: 0, arrived: 0, partial: null, trimmed: false };

/** With lines that came behind it. */
export function append(buffer: LogBuffer, lines: readonly BufferLine[], partial: LogLine | null): LogBuffer {
  const blocks = [...buffer.blocks];
  const last = blocks.at(-1);
  let rest = lines;
  if (last && last.lines.length < BLOCK && rest.length > 0) {
    const room = BLOCK - last.lines.length;
    blocks[blocks.length - 1] = { id: last.id, lines: [...last.lines, ...rest.slice(0, room)] };
    rest = rest.slice(room);
  }
  for (let at = 0; at < rest.length; at += BLOCK) {
    blocks.push({ id: (blocks.at(-1)?.id ?? 0) + 1, lines: rest.slice(at, at + BLOCK) });
  }
  let count = buffer.count + lines.length;
  let trimmed = buffer.trimmed;
  while (count > LINES_MAX && blocks.length > 1) {
    count -= blocks.shift()?.lines.length ?? 0;
    trimmed = true;
  }
  return { blocks, count, arrived: buffer.arrived + lines.length, partial, trimmed };
}

/** With something said behind its lines. */
export function note(buffer: LogBuffer, text: string): LogBuffer {
  const said = append(buffer, [{ at: null, text, note: true }], null);
  return { ...said, arrived: buffer.arrived };
}

/** With lines in front of it, as far as there is room. */
export function prepend(buffer: LogBuffer, lines: readonly LogLine[]): LogBuffer {
  const room = Math.max(LINES_MAX - buffer.count, 0);
  const kept = lines.slice(Math.max(lines.length - room, 0));
  const blocks = [...buffer.blocks];
  for (let end = kept.length; end > 0; end -= BLOCK) {
    blocks.unshift({ id: (blocks[0]?.id ?? 1) - 1, lines: kept.slice(Math.max(end - BLOCK, 0), end) });
  }
  return {
    ...buffer,
    blocks,
    count: buffer.count + kept.length,
    trimmed: buffer.trimmed || kept.length < lines.length,
  };
}

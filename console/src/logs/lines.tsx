// Lines of a log as they are drawn: text only, in blocks that are drawn once.
import { type CSSProperties, memo } from "react";
import { ansiPieces, mark, type Style } from "./ansi";
import type { Block, BufferLine } from "./buffer";

const timeOfDay = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});
const dayAndTime = new Intl.DateTimeFormat("en", {
  month: "short",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

/** `15:20:01.123` of today, `Nov 21, 15:20:01` of another day. */
export function timeOf(at: string, now: Date): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) {
    return at;
  }
  return (time.toDateString() === now.toDateString() ? timeOfDay : dayAndTime).format(time);
}

export const LogBlock = memo(function LogBlock({ block, needle }: { block: Block; needle: string }) {
  const now = new Date();
  return (
    <div className="log-block" data-block={block.id}>
      {block.lines.map((line, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line stays where it is in its block
        <Line key={at} line={line} needle={needle} now={now} />
      ))}
    </div>
  );
});

export function Line({ line, needle, now }: { line: BufferLine; needle: string; now: Date }) {
  if (line.note) {
    return <div className="log-note">{line.text}</div>;
  }
  return (
    <div className="log-line">
      {line.at && (
        <time className="log-time" dateTime={line.at} title={line.at}>
          {timeOf(line.at, now)}
        </time>
      )}
      <span className="log-text">
        {mark(ansiPieces(line.text), needle).map(({ text, style, match, from }) => {
          const css = styleOf(style);
          if (match) {
            return <mark key={from}>{text}</mark>;
          }
          return css ? (
            <span key={from} style={css}>
              {text}
            </span>
          ) : (
            text
          );
        })}
      </span>
    </div>
  );
}

function colorOf(color: number | string): string {
  return typeof color === "number" ? `var(--ansi-${color})` : color;
}

const PAGE = { color: "var(--mantine-color-text)", background: "var(--mantine-color-body)" };

function styleOf({ color, background, bold, dim, italic, underline, inverse }: Style): CSSProperties | null {
  const own = color === undefined ? undefined : colorOf(color);
  const behind = background === undefined ? undefined : colorOf(background);
  const css: CSSProperties = {
    ...(own && { color: own }),
    // Text without a colour of its own on a background that has one is of the page's other colour.
    ...(behind && { background: behind, color: own ?? PAGE.background }),
    ...(inverse && { color: behind ?? PAGE.background, background: own ?? PAGE.color }),
    ...(bold && { fontWeight: 700 }),
    ...(dim && { opacity: 0.65 }),
    ...(italic && { fontStyle: "italic" }),
    ...(underline && { textDecoration: "underline" }),
  };
  return Object.keys(css).length > 0 ? css : null;
}

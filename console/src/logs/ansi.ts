// What a program wrote, for a page: colours become styles, everything else that would steer a terminal is left out, and
// nothing of it ever becomes markup.

export interface Style {
  /** 0 to 15, or a colour of its own: `rgb(…)`. */
  color?: number | string;
  background?: number | string;
  bold?: true;
  dim?: true;
  italic?: true;
  underline?: true;
  /** Colour and background are changed for each other, also those of the page. */
  inverse?: true;
}

export interface Piece {
  text: string;
  style: Style;
}

// CSI; OSC, DCS, APC, PM and SOS up to their end; two-character ones. One that is cut off ends with the line.
const ESCAPE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  /[\x1b\x9b](?:(?<=\x9b)|\[)([0-9;:?<=>]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|\x1b[ -/]*[0-~]?|\x9b/g;

/** Pieces of a line, each with its style. A line that was written over keeps what was written last. */
export function ansiPieces(line: string): Piece[] {
  const pieces: Piece[] = [];
  let style: Style = {};
  let from = 0;
  const visible = lastWritten(line);
  const add = (text: string) => {
    const shown = printable(text);
    if (shown !== "") {
      pieces.push({ text: shown, style });
    }
  };
  for (const match of visible.matchAll(ESCAPE)) {
    add(visible.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === "m" && !/[?<=>]/.test(match[1] ?? "")) {
      style = rendition(style, match[1] ?? "");
    }
  }
  add(visible.slice(from));
  return pieces;
}

/** The text alone, as it is searched and saved. */
export function plainText(line: string): string {
  return ansiPieces(line)
    .map(({ text }) => text)
    .join("");
}

/** Progress bars write over themselves with carriage returns: the last of it counts. */
function lastWritten(line: string): string {
  const trimmed = line.replace(/\r+$/, "");
  return trimmed.slice(trimmed.lastIndexOf("\r") + 1);
}

/** Other control characters as their pictures; those that turn the direction of text are not shown at all. */
function printable(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
      .replace(/[\x00-\x08\x0a-\x1f]/g, (control) => String.fromCharCode(0x2400 + control.charCodeAt(0)))
      .replace(/[\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, "")
  );
}

function rendition(before: Style, parameters: string): Style {
  const codes = parameters.split(/[;:]/).map((code) => (code === "" ? 0 : Number(code)));
  let style = { ...before };
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    if (code === 0) style = {};
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 22) {
      delete style.bold;
      delete style.dim;
    } else if (code === 23) delete style.italic;
    else if (code === 24) delete style.underline;
    else if (code === 27) delete style.inverse;
    else if (code >= 30 && code <= 37) style.color = code - 30;
    else if (code >= 90 && code <= 97) style.color = code - 82;
    else if (code === 39) delete style.color;
    else if (code >= 40 && code <= 47) style.background = code - 40;
    else if (code >= 100 && code <= 107) style.background = code - 92;
    else if (code === 49) delete style.background;
    else if (code === 38 || code === 48) {
      const [color, used] = extended(codes.slice(at + 1));
      at += used;
      if (color !== undefined) {
        style[code === 38 ? "color" : "background"] = color;
      }
    }
  }
  return style;
}

/** `5;n` of the 256 colours, or `2;r;g;b`; and how many numbers that were. */
function extended(codes: number[]): [number | string | undefined, number] {
  const byte = (code: number | undefined) =>
    code !== undefined && code >= 0 && code <= 255 ? code : undefined;
  if (codes[0] === 5) {
    const index = byte(codes[1]);
    if (index === undefined || index < 16) return [index, 2];
    if (index >= 232) return [rgb(8 + (index - 232) * 10, 8 + (index - 232) * 10, 8 + (index - 232) * 10), 2];
    const cube = index - 16;
    const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
    return [rgb(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)), 2];
  }
  if (codes[0] === 2) {
    const [red, green, blue] = [byte(codes[1]), byte(codes[2]), byte(codes[3])];
    return [
      red === undefined || green === undefined || blue === undefined ? undefined : rgb(red, green, blue),
      4,
    ];
  }
  return [undefined, 1];
}

function rgb(red: number, green: number, blue: number): string {
  return `rgb(${red}, ${green}, ${blue})`;
}

export interface Marked extends Piece {
  /** Where in the line's text it begins. */
  from: number;
  /** Whether it is what was searched for. */
  match: boolean;
}

/** The same pieces, cut where `needle` is, whatever the case of its letters. */
export function mark(pieces: readonly Piece[], needle: string): Marked[] {
  const text = pieces.map((piece) => piece.text).join("");
  const wanted = needle.toLowerCase();
  // Where lower case has another length, places would not fit.
  const lower = text.toLowerCase().length === text.length ? text.toLowerCase() : text;
  const ranges: [number, number][] = [];
  for (
    let at = wanted === "" ? -1 : lower.indexOf(wanted);
    at >= 0;
    at = lower.indexOf(wanted, at + wanted.length)
  ) {
    ranges.push([at, at + wanted.length]);
  }
  const marked: Marked[] = [];
  let start = 0;
  for (const { text: part, style } of pieces) {
    let at = 0;
    while (at < part.length) {
      const place = start + at;
      const range = ranges.find(([, to]) => to > place);
      const match = range !== undefined && range[0] <= place;
      const end =
        range === undefined ? part.length : Math.min(part.length, (match ? range[1] : range[0]) - start);
      marked.push({ text: part.slice(at, end), style, from: place, match });
      at = end;
    }
    start += part.length;
  }
  return marked;
}

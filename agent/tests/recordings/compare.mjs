// Compares, in a headless xterm.js, what a recording shows with what a snapshot of it and the rest show.
// Arguments: the console's folder, the recording's path without ending. Snapshots come on standard input, one JSON line
// each. Prints one line for each difference, and `compared N` at the end.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [console_folder, path] = process.argv.slice(2);
const need = createRequire(join(console_folder, "package.json"));
const { Terminal } = need("@xterm/headless");
const { Unicode11Addon } = need("@xterm/addon-unicode11");
const SCROLLBACK = 3000;
const COMPARED = 2000;

const raw = readFileSync(`${path}.raw`);
const { size, resizes } = JSON.parse(readFileSync(`${path}.json`, "utf8"));
const snapshots = readFileSync(0, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));

const write = (terminal, bytes) => new Promise((done) => terminal.write(bytes, done));

async function open(columns, rows) {
  const terminal = new Terminal({ cols: columns, rows, scrollback: SCROLLBACK, allowProposedApi: true });
  // As the console has it.
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  const seen = { title: "", replies: [] };
  terminal.onTitleChange((title) => { seen.title = title; });
  terminal.onData((data) => seen.replies.push(data));
  return { terminal, seen };
}

// The recording from an offset to the end, with the sizes that come on the way.
async function play(terminal, from) {
  let at = from;
  for (const [offset, columns, rows] of resizes) {
    if (offset > from) {
      await write(terminal, raw.subarray(at, offset));
      at = offset;
    }
    if (offset >= from) {
      terminal.resize(columns, rows);
    }
  }
  await write(terminal, raw.subarray(at));
}

function cells(line, columns) {
  const text = [];
  let blank = 0;
  for (let x = 0; x < columns; x++) {
    const cell = line?.getCell(x);
    const chars = cell?.getChars() || (cell?.getWidth() === 0 ? "" : " ");
    const style = cell
      ? [cell.getFgColorMode(), cell.getFgColor(), cell.getBgColorMode(), cell.getBgColor(), cell.isBold(), cell.isDim(),
         cell.isItalic(), cell.isUnderline(), cell.isBlink(), cell.isInverse(), cell.isInvisible(), cell.isStrikethrough()]
          .map(Number).join(",")
      : "0,-1,0,-1,0,0,0,0,0,0,0,0";
    const plain = chars === " " && style === "0,-1,0,-1,0,0,0,0,0,0,0,0";
    text.push(`${chars}\u0001${cell?.getWidth() ?? 1}\u0001${style}`);
    blank = plain ? blank : text.length;
  }
  return text.slice(0, blank);
}

function screen({ terminal, seen }) {
  const buffer = terminal.buffer.active;
  const normal = terminal.buffer.normal;
  const rows = [];
  for (let y = 0; y < terminal.rows; y++) {
    rows.push(cells(buffer.getLine(buffer.baseY + y), terminal.cols));
  }
  const back = [];
  for (let y = Math.max(0, normal.baseY - COMPARED); y < normal.baseY; y++) {
    back.push(normal.getLine(y).translateToString(true));
  }
  const saved = [];
  if (buffer.type === "alternate") {
    for (let y = 0; y < terminal.rows; y++) {
      saved.push(normal.getLine(normal.baseY + y)?.translateToString(true) ?? "");
    }
  }
  return {
    size: [terminal.cols, terminal.rows],
    buffer: buffer.type,
    cursor: [buffer.cursorX, buffer.cursorY],
    hidden: terminal._core.coreService.isCursorHidden,
    modes: terminal.modes,
    title: seen.title,
    rows,
    back,
    saved,
  };
}

function difference(wanted, got) {
  for (const key of ["size", "buffer", "cursor", "hidden", "title", "modes"]) {
    if (JSON.stringify(wanted[key]) !== JSON.stringify(got[key])) {
      return `${key} is ${JSON.stringify(got[key])} and not ${JSON.stringify(wanted[key])}`;
    }
  }
  for (let y = 0; y < wanted.rows.length; y++) {
    for (let x = 0; x < Math.max(wanted.rows[y].length, got.rows[y].length); x++) {
      const [theirs, ours] = [wanted.rows[y][x], got.rows[y][x]].map((cell) => cell?.replaceAll("\u0001", " "));
      if (theirs !== ours) {
        return `row ${y} column ${x} is ${ours} and not ${theirs}`;
      }
    }
  }
  for (let y = 0; y < wanted.saved.length; y++) {
    if (wanted.saved[y] !== got.saved[y]) {
      return `row ${y} of the other screen is ${JSON.stringify(got.saved[y])} and not ${JSON.stringify(wanted.saved[y])}`;
    }
  }
  // A snapshot may have fewer lines, if it says so; those that it has are the last.
  const tail = wanted.back.slice(wanted.back.length - got.back.length);
  for (let y = 0; y < got.back.length; y++) {
    if (got.back[y] !== tail[y]) {
      return `scrollback ${y - got.back.length} is ${JSON.stringify(got.back[y])} and not ${JSON.stringify(tail[y])}`;
    }
  }
  return null;
}

const whole = await open(...size);
await play(whole.terminal, 0);
const wanted = screen(whole);
for (const snapshot of snapshots) {
  const replayed = await open(...snapshot.size);
  await write(replayed.terminal, Buffer.from(snapshot.hex, "hex"));
  if (replayed.seen.replies.length > 0) {
    console.log(`cut ${snapshot.cut}: the snapshot is answered with ${JSON.stringify(replayed.seen.replies)}`);
  }
  await play(replayed.terminal, snapshot.offset);
  const got = screen(replayed);
  const differs = difference(wanted, got);
  if (differs) {
    console.log(`cut ${snapshot.cut} (at ${snapshot.offset}): ${differs.slice(0, 700)}`);
  } else if (snapshot.dropped === 0 && got.back.length !== wanted.back.length) {
    console.log(`cut ${snapshot.cut}: ${got.back.length} lines of scrollback and not ${wanted.back.length}`);
  }
}
console.log(`compared ${snapshots.length}`);

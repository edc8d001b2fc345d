// While old output is drawn again, the queries in it must not be answered: the answers would be typed into the shell.
// Only the emulator's own replies are dropped, at the sequences that cause them; keys and pastes always pass.
import type { IDisposable, IParser } from "@xterm/xterm";

const QUERIES = [
  { final: "c" }, // primary device attributes
  { prefix: ">", final: "c" }, // secondary device attributes
  { prefix: "=", final: "c" }, // tertiary device attributes
  { final: "n" }, // status and cursor position
  { prefix: "?", final: "n" }, // cursor position, DEC
  { intermediates: "$", final: "p" }, // mode, ANSI
  { prefix: "?", intermediates: "$", final: "p" }, // mode, DEC
  { final: "t" }, // window reports
  { prefix: ">", final: "q" }, // name and version
  { prefix: "?", final: "u" }, // keyboard protocol
];
/** Palette, foreground, background and cursor color: a `?` asks for it. */
const COLORS = [4, 10, 11, 12];
const FOCUS_MODE = 1004;
const FOCUS_REPORTS = ["\x1b[I", "\x1b[O"];

export class ReplayGuard {
  /** Whether what is being parsed is old output. */
  replaying = false;
  private focusReport = false;
  private readonly handlers: IDisposable[];

  constructor(parser: IParser) {
    this.handlers = [
      ...QUERIES.map((query) => parser.registerCsiHandler(query, () => this.replaying)),
      ...COLORS.map((color) =>
        parser.registerOscHandler(color, (data) => this.replaying && data.includes("?")),
      ),
      parser.registerDcsHandler({ intermediates: "$", final: "q" }, () => this.replaying),
      parser.registerDcsHandler({ intermediates: "+", final: "q" }, () => this.replaying),
      // Switching focus reports on causes one at once. The mode has to be set all the same.
      parser.registerCsiHandler({ prefix: "?", final: "h" }, (parameters) => {
        this.focusReport = this.replaying && parameters.flat().includes(FOCUS_MODE);
        return false;
      }),
    ];
  }

  /** Whether this data of the emulator is a reply to old output. Asked while it is being parsed. */
  drops(data: string): boolean {
    if (!this.focusReport || !FOCUS_REPORTS.includes(data)) {
      return false;
    }
    this.focusReport = false;
    return true;
  }

  dispose(): void {
    for (const handler of this.handlers) {
      handler.dispose();
    }
  }
}

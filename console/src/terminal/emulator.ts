// xterm.js as the stream's screen, with its addons. Owns the DOM of one terminal.
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { type ITheme, Terminal } from "@xterm/xterm";
import { MONOSPACE } from "../theme";
import { Characters } from "./characters";
import { clipboardText, linesToAskAbout } from "./clipboard";
import { type Command, commandOf } from "./keys";
import { isFocusReport, isReport } from "./reports";
import type { Screen, Size } from "./screen";
import { transcript } from "./transcript";

export interface EmulatorOptions {
  element: HTMLElement;
  theme: ITheme;
  fontSize: number;
  /** For those who have the screen read to them. */
  screenReader: boolean;
  /** Whether nobody may type here. */
  readOnly: boolean;
  mac: boolean;
  on: EmulatorEvents;
}

export interface EmulatorEvents {
  /** Typed or pasted. */
  input(bytes: Uint8Array): void;
  /** What the emulator reports of the mouse and the focus. */
  report(bytes: Uint8Array): void;
  command(command: Command): void;
  /** Somebody clicked on or turned to this terminal. */
  used(): void;
  /** Somebody follows a link in the text, whatever it says. */
  link(address: string): void;
  /** A program writes to the clipboard. */
  clipboard(text: string): void;
  /** So many lines are about to be pasted into a program that would take each at once. */
  pasteQuestion(text: string, lines: number): void;
}

const utf8 = new TextEncoder();
/** Modes that a program leaves on when its shell is gone: the other screen, mouse, focus and paste reports. */
const MODES_OFF = "\x1b[?1047l\x1b[!p\x1b[?9;1000;1002;1003;1004;1006;2004l";

export class Emulator implements Screen {
  readonly terminal: Terminal;
  readonly search = new SearchAddon();
  private readonly fitting = new FitAddon();
  private webgl: WebglAddon | null = null;
  private webglFailed = false;
  /** Whether what is being parsed is old output. */
  private old = false;
  private readonly characters = new Characters();

  constructor(private readonly options: EmulatorOptions) {
    const { element, on, readOnly } = options;
    this.terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: !readOnly,
      disableStdin: readOnly,
      fontFamily: MONOSPACE,
      fontSize: options.fontSize,
      lineHeight: 1.15,
      minimumContrastRatio: 3,
      screenReaderMode: options.screenReader,
      scrollback: 10_000,
      theme: options.theme,
      linkHandler: { activate: (_event, address) => on.link(address) },
    });
    this.terminal.loadAddon(this.fitting);
    this.terminal.loadAddon(this.search);
    this.terminal.loadAddon(new WebLinksAddon((_event, address) => on.link(address)));
    this.terminal.loadAddon(new Unicode11Addon());
    this.terminal.unicode.activeVersion = "11";
    this.terminal.onData((data) => this.said(data));
    // Mouse reports of the old kind are bytes, not text.
    this.terminal.onBinary((data) =>
      on.report(Uint8Array.from(data, (character) => character.charCodeAt(0))),
    );
    this.terminal.parser.registerOscHandler(52, (data) => {
      const text = this.old || readOnly ? null : clipboardText(data);
      if (text !== null) {
        on.clipboard(text);
      }
      return true;
    });
    this.terminal.attachCustomKeyEventHandler((event) => this.key(event));
    this.terminal.open(element);
    this.terminal.textarea?.addEventListener("focus", on.used);
    element.addEventListener("mousedown", on.used, { capture: true });
    element.addEventListener("paste", this.pasting, { capture: true });
  }

  private said(data: string): void {
    if (isFocusReport(data) && this.old) {
      // Switching focus reports on causes one at once; somebody heard that long ago.
      return;
    }
    const bytes = utf8.encode(data);
    if (isReport(data)) {
      this.options.on.report(bytes);
    } else {
      this.options.on.input(bytes);
    }
  }

  // Answers whether the shell may have the key.
  private key(event: KeyboardEvent): boolean {
    const command = commandOf(event, this.options.mac);
    if (!command) {
      return true;
    }
    // The browser itself pastes, into the terminal's own text field.
    if (command.is !== "paste") {
      event.preventDefault();
      if (event.type === "keydown") {
        this.options.on.command(command);
      }
    }
    return false;
  }

  private readonly pasting = (event: ClipboardEvent): void => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const lines = this.questionable(text);
    if (lines > 0) {
      event.preventDefault();
      event.stopPropagation();
      this.options.on.pasteQuestion(text, lines);
    }
  };

  private questionable(text: string): number {
    return this.options.readOnly ? 0 : linesToAskAbout(text, this.terminal.modes.bracketedPasteMode);
  }

  /** Pastes as the browser would, with the same question. */
  paste(text: string): void {
    const lines = this.questionable(text);
    if (lines > 0) {
      this.options.on.pasteQuestion(text, lines);
    } else {
      this.terminal.paste(text);
    }
  }

  /** Puts what is selected into the clipboard. */
  async copy(): Promise<void> {
    if (this.terminal.hasSelection()) {
      await navigator.clipboard.writeText(this.terminal.getSelection());
    }
  }

  reset(): void {
    this.characters.restart();
    // As a sequence, so that it takes its turn behind output that is not parsed yet.
    this.terminal.write("\x1bc");
  }

  resetBelow(): void {
    this.characters.restart();
    this.terminal.write(
      `${MODES_OFF}\r\n\x1b[2m— The shell above has ended. This is a new one. —\x1b[22m\r\n`,
    );
  }

  history(old: boolean): void {
    this.terminal.write("", () => {
      this.old = old;
    });
  }

  write(bytes: Uint8Array, parsed: () => void): void {
    this.terminal.write(this.characters.whole(bytes), parsed);
  }

  resize(columns: number, rows: number): void {
    if (columns !== this.terminal.cols || rows !== this.terminal.rows) {
      this.terminal.resize(columns, rows);
    }
  }

  /** The size that fills the element; `null` while it cannot be seen. */
  fittingSize(): Size | null {
    const { element } = this.options;
    if (element.clientWidth < 20 || element.clientHeight < 20) {
      return null;
    }
    const size = this.fitting.proposeDimensions();
    return size && size.cols > 1 && size.rows > 0 ? { columns: size.cols, rows: size.rows } : null;
  }

  get focused(): boolean {
    return document.hasFocus() && document.activeElement === this.terminal.textarea;
  }

  /** All text of the scrollback and the screen, and below it that of a program that fills the screen. */
  transcript(): string {
    const { active, normal } = this.terminal.buffer;
    return transcript(normal) + (active.type === "alternate" ? transcript(active) : "");
  }

  /** Draws on the graphics card while visible. Browsers allow only some 16 such canvases in a page. */
  setVisible(visible: boolean): void {
    if (!visible) {
      this.webgl?.dispose();
      this.webgl = null;
    } else if (!this.webgl && !this.webglFailed) {
      try {
        const webgl = new WebglAddon();
        webgl.onContextLoss(() => {
          webgl.dispose();
          this.webgl = null;
          this.webglFailed = true;
        });
        this.terminal.loadAddon(webgl);
        this.webgl = webgl;
      } catch {
        // No WebGL here: the DOM renderer goes on.
        this.webglFailed = true;
      }
    }
  }

  dispose(): void {
    this.terminal.dispose();
  }
}

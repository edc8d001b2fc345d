// xterm.js as the stream's screen, with its addons. Owns the DOM of one terminal.
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { type ITheme, Terminal } from "@xterm/xterm";
import { MONOSPACE } from "../theme";
import { ReplayGuard } from "./replay-guard";
import type { Screen } from "./screen";

export interface EmulatorOptions {
  element: HTMLElement;
  theme: ITheme;
  fontSize: number;
  /** Whether nobody may type here. */
  readOnly: boolean;
  onInput(bytes: Uint8Array): void;
  onSearch(): void;
}

const utf8 = new TextEncoder();

export class Emulator implements Screen {
  readonly terminal: Terminal;
  readonly search = new SearchAddon();
  private readonly fitting = new FitAddon();
  private readonly guard: ReplayGuard;
  private webgl: WebglAddon | null = null;
  private webglFailed = false;

  constructor(options: EmulatorOptions) {
    this.terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: !options.readOnly,
      disableStdin: options.readOnly,
      fontFamily: MONOSPACE,
      fontSize: options.fontSize,
      lineHeight: 1.15,
      minimumContrastRatio: 3,
      scrollback: 10_000,
      theme: options.theme,
      // Links that programs make are followed without a question, but only to the web.
      linkHandler: {
        activate: (_event, address) => {
          if (/^https?:\/\//i.test(address)) {
            window.open(address, "_blank", "noopener,noreferrer");
          }
        },
      },
    });
    this.terminal.loadAddon(this.fitting);
    this.terminal.loadAddon(this.search);
    this.terminal.loadAddon(
      new WebLinksAddon((_event, address) => window.open(address, "_blank", "noopener,noreferrer")),
    );
    this.guard = new ReplayGuard(this.terminal.parser);
    this.terminal.onData((data) => {
      if (!this.guard.drops(data)) {
        options.onInput(utf8.encode(data));
      }
    });
    // Mouse reports of the old kind are bytes, not text.
    this.terminal.onBinary((data) =>
      options.onInput(Uint8Array.from(data, (character) => character.charCodeAt(0))),
    );
    this.terminal.attachCustomKeyEventHandler((event) => this.shortcut(event, options.onSearch));
    this.terminal.open(options.element);
  }

  // Answers whether the terminal may have the key.
  private shortcut(event: KeyboardEvent, onSearch: () => void): boolean {
    if (!event.ctrlKey || !event.shiftKey || event.altKey) {
      return true;
    }
    switch (event.code) {
      case "KeyF":
        event.preventDefault();
        if (event.type === "keydown") {
          onSearch();
        }
        return false;
      case "KeyC":
        event.preventDefault();
        if (event.type === "keydown" && this.terminal.hasSelection()) {
          void navigator.clipboard?.writeText(this.terminal.getSelection());
        }
        return false;
      case "KeyV":
        // The browser pastes into the terminal's own text field.
        return false;
      default:
        return true;
    }
  }

  reset(replay: boolean): void {
    // As a sequence, so that it takes its turn behind output that is not parsed yet.
    this.terminal.write("\x1bc", () => {
      this.guard.replaying = replay;
    });
  }

  live(): void {
    this.terminal.write("", () => {
      this.guard.replaying = false;
    });
  }

  write(bytes: Uint8Array, parsed: () => void): void {
    this.terminal.write(bytes, parsed);
  }

  say(line: string): void {
    this.terminal.write(`\r\n\x1b[2m— ${line} —\x1b[22m\r\n`);
  }

  resize(columns: number, rows: number): void {
    if (columns !== this.terminal.cols || rows !== this.terminal.rows) {
      this.terminal.resize(columns, rows);
    }
  }

  /** The size that fills the element; `null` while it cannot be seen. */
  fittingSize(): { columns: number; rows: number } | null {
    const element = this.terminal.element?.parentElement;
    if (!element || element.clientWidth < 20 || element.clientHeight < 20) {
      return null;
    }
    const size = this.fitting.proposeDimensions();
    return size && size.cols > 1 && size.rows > 0 ? { columns: size.cols, rows: size.rows } : null;
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
    this.guard.dispose();
    this.terminal.dispose();
  }
}

// The long-lived parts of a terminal on the page: an emulator in an element, and the stream that feeds it. The emulator
// stays when another shell takes the place of one that ended; the stream is the new shell's.
import { type RefObject, useEffect, useRef, useState } from "react";
import { streamUrl } from "../api/terminals";
import { browserSocket } from "./browser-socket";
import { Emulator, type EmulatorEvents } from "./emulator";
import { type Foreground, type Person, SUBPROTOCOL } from "./frames";
import type { Size } from "./screen";
import type { TerminalSettings } from "./settings";
import type { Status } from "./status";
import { TerminalStream } from "./stream";
import { themeOf } from "./themes";

interface Options {
  org: string;
  machine: string;
  terminal: string;
  /** Whether its shell has never been attached to. */
  fresh: boolean;
  /** The machine's state. */
  state: string;
  readOnly: boolean;
  visible: boolean;
  settings: TerminalSettings;
  dark: boolean;
  events: Omit<EmulatorEvents, "report" | "used">;
  /** Somebody turned to this terminal. */
  onUsed: () => void;
  onStatus: (status: Status) => void;
  onNote: (text: string) => void;
  onPeople: (people: readonly Person[]) => void;
  onForeground: (now: Foreground | null) => void;
  onIdle: (sleepsAt: number | null) => void;
}

const FIT_AFTER = 40;
/** A terminal that somebody only looks at takes the size it has; this is for before it is known. */
const UNKNOWN: Size = { columns: 80, rows: 24 };
export const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);

/** States in which looking at a terminal must not wake the machine. */
const SLEEPING = ["hibernating", "hibernated", "stopping", "stopped"];

function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

export function useTerminal(element: RefObject<HTMLDivElement | null>, options: Options) {
  const { org, machine, terminal, readOnly, visible, dark, state } = options;
  const { fontSize, screenReader, theme } = options.settings;
  const [emulator, setEmulator] = useState<Emulator | null>(null);
  const [stream, setStream] = useState<TerminalStream | null>(null);
  const [foreign, setForeign] = useState<Size | null>(null);
  /** What the emulator shows a shell of already. */
  const shown = useRef<{ emulator: Emulator; terminal: string } | null>(null);

  // What the long-lived objects below need of the last drawing.
  const latest = useRef({ ...options, stream });
  latest.current = { ...options, stream };

  useEffect(() => {
    if (!element.current) {
      return;
    }
    const now = latest.current;
    const events = () => latest.current.events;
    const made = new Emulator({
      element: element.current,
      theme: themeOf(now.settings.theme, now.dark),
      fontSize: now.settings.fontSize,
      screenReader: now.settings.screenReader,
      readOnly,
      mac: IS_MAC,
      on: {
        input: (bytes) => events().input(bytes),
        report: (bytes) => latest.current.stream?.report(bytes),
        command: (command) => events().command(command),
        used: () => {
          if (!readOnly) {
            latest.current.stream?.claim();
          }
          latest.current.onUsed();
        },
        link: (address) => events().link(address),
        clipboard: (text) => events().clipboard(text),
        pasteQuestion: (text, lines) => events().pasteQuestion(text, lines),
      },
    });
    setEmulator(made);
    return () => {
      made.dispose();
      setEmulator(null);
    };
  }, [element, readOnly]);

  useEffect(() => {
    if (!emulator) {
      return;
    }
    const now = latest.current;
    const size = (readOnly ? null : emulator.fittingSize()) ?? UNKNOWN;
    const below = shown.current?.emulator === emulator && shown.current.terminal !== terminal;
    shown.current = { emulator, terminal };
    let first = true;
    emulator.resize(size.columns, size.rows);
    const made = new TerminalStream({
      connect: (wake) => browserSocket(streamUrl(org, machine, terminal, wake), SUBPROTOCOL),
      screen: emulator,
      key: randomKey(),
      size,
      wake: now.fresh || !SLEEPING.includes(now.state),
      below,
      visible: () => document.visibilityState === "visible",
      on: {
        status: (status) => {
          latest.current.onStatus(status);
          if (status.is === "live" && first) {
            first = false;
            // Whoever opens a window uses it.
            if (emulator.focused && !readOnly) {
              made.claim();
            }
          }
        },
        note: (text) => latest.current.onNote(text),
        size: (size, owner) => setForeign(owner ? null : size),
        people: (people) => latest.current.onPeople(people),
        foreground: (now) => latest.current.onForeground(now),
        idle: (sleepsAt) => latest.current.onIdle(sleepsAt),
      },
    });
    setStream(made);
    made.start();
    const nudge = () => {
      if (document.visibilityState === "visible") {
        made.nudge();
      }
    };
    document.addEventListener("visibilitychange", nudge);
    window.addEventListener("online", nudge);
    return () => {
      document.removeEventListener("visibilitychange", nudge);
      window.removeEventListener("online", nudge);
      made.dispose();
      setStream(null);
    };
  }, [emulator, org, machine, terminal, readOnly]);

  // The window's size, once it has come to rest; a hidden terminal has none.
  useEffect(() => {
    if (!emulator || !stream || !element.current || readOnly) {
      return;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const observer = new ResizeObserver(() => {
      clearTimeout(timer);
      timer = setTimeout(() => fitToWindow(emulator, stream), FIT_AFTER);
    });
    observer.observe(element.current);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
    };
  }, [emulator, stream, element, readOnly]);

  useEffect(() => {
    emulator?.setVisible(visible);
  }, [emulator, visible]);

  useEffect(() => {
    if (emulator) {
      emulator.terminal.options.theme = themeOf(theme, dark);
    }
  }, [emulator, theme, dark]);

  useEffect(() => {
    if (emulator) {
      emulator.terminal.options.screenReaderMode = screenReader;
    }
  }, [emulator, screenReader]);

  useEffect(() => {
    if (emulator && stream) {
      emulator.terminal.options.fontSize = fontSize;
      if (!readOnly) {
        fitToWindow(emulator, stream);
      }
    }
  }, [emulator, stream, fontSize, readOnly]);

  // Somebody else woke the machine, or it was started: come back without asking for a wake.
  useEffect(() => {
    if (state === "running") {
      stream?.nudge();
    }
  }, [stream, state]);

  return { emulator, stream, foreign };
}

function fitToWindow(emulator: Emulator, stream: TerminalStream): void {
  const size = emulator.fittingSize();
  if (size) {
    stream.resize(size.columns, size.rows);
  }
}

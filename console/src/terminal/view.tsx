// One terminal on the page: the emulator, what is said over it, and what is asked because of it.
import { useComputedColorScheme } from "@mantine/core";
import { type Ref, useCallback, useEffect, useImperativeHandle, useRef, useState } from "react";
import "@xterm/xterm/css/xterm.css";
import type { Terminal } from "../api/schema";
import { save } from "../components/save";
import { ContextMenu, type Place } from "./context-menu";
import type { Foreground, Person } from "./frames";
import { KeyRow } from "./key-row";
import type { Command } from "./keys";
import { webAddress } from "./links";
import { type PhoneKey, sequenceOf, withControl } from "./phone-keys";
import { type Question, Questions } from "./questions";
import { SearchBar } from "./search-bar";
import type { TerminalSettings } from "./settings";
import type { Status } from "./status";
import { StatusLine } from "./status-line";
import { themeOf } from "./themes";
import { useTerminal } from "./use-terminal";

/** What others on the page may ask of a terminal. */
export interface TerminalHandle {
  focus(): void;
  search(): void;
  download(): void;
}

interface Props {
  ref: Ref<TerminalHandle>;
  org: string;
  machine: string;
  terminal: Pick<Terminal, "id" | "name">;
  /** The pane it is in; `null` while it is behind another one. */
  pane: number | null;
  /** Whether it is the one that has the keyboard. */
  active: boolean;
  fresh: boolean;
  readOnly: boolean;
  /** The machine's state, to come back when it wakes for another reason. */
  state: string;
  settings: TerminalSettings;
  onCommand: (command: Command) => void;
  onUsed: () => void;
  onPeople: (people: readonly Person[]) => void;
  /** What runs in it now; `null` while that is not known. */
  onForeground: (now: Foreground | null) => void;
  /** Something happened that the records of the terminal and the machine say more about. */
  onChange: () => void;
  /** Somebody wants the machine not to go to sleep. */
  onKeepAwake: () => void;
  /** Another shell in place of this one, in a directory if one is known. */
  onRestart: (directory: string | null) => void;
  /** Why there can be no new shell now. */
  restartRefused: string | null;
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

export function TerminalView(props: Props) {
  const { org, machine, terminal, pane, active, fresh, readOnly, state, settings } = props;
  const visible = pane !== null;
  const dark = useComputedColorScheme("light") === "dark";
  const element = useRef<HTMLDivElement>(null);
  const [status, setStatus] = useState<Status>({ is: "connecting" });
  const [sleepsAt, setSleepsAt] = useState<number | null>(null);
  const [note, setNote] = useState<{ text: string } | null>(null);
  // The same at every drawing: a note's time is not to begin anew.
  const noteRead = useCallback(() => setNote(null), []);
  const [question, setQuestion] = useState<Question | null>(null);
  const [menu, setMenu] = useState<Place | null>(null);
  const [searching, setSearching] = useState(false);
  const [control, setControl] = useState(false);
  /** What was answered to the first program that filled the clipboard. */
  const clipboardAnswer = useRef<boolean | null>(null);

  const fillClipboard = (copied: string) =>
    navigator.clipboard.writeText(copied).catch(() => {
      setNote({ text: "The browser did not let the program fill the clipboard." });
    });

  const { emulator, stream, foreign } = useTerminal(element, {
    org,
    machine,
    terminal: terminal.id,
    fresh,
    state,
    readOnly,
    visible,
    settings,
    dark,
    events: {
      input: (bytes) => {
        if (control) {
          setControl(false);
        }
        // A stopped machine is started on purpose only, not by a key.
        if (!(status.is === "asleep" && state === "stopped")) {
          stream?.type(control ? utf8.encode(withControl(text.decode(bytes))) : bytes);
        }
      },
      command: (command) => {
        switch (command.is) {
          case "search":
            setSearching(true);
            break;
          case "copy":
            void emulator?.copy().catch(() => setNote({ text: "The browser did not let this be copied." }));
            break;
          default:
            props.onCommand(command);
        }
      },
      link: (address) => {
        const url = webAddress(address);
        if (url) {
          setQuestion({ is: "link", url });
        } else {
          setNote({ text: "Only addresses of the web are opened from here." });
        }
      },
      clipboard: (copied) => {
        if (clipboardAnswer.current) {
          void fillClipboard(copied);
        } else if (clipboardAnswer.current === null) {
          // Another question is not pushed aside.
          setQuestion((open) => (open && open.is !== "clipboard" ? open : { is: "clipboard", text: copied }));
        }
      },
      pasteQuestion: (pasted, lines) => setQuestion({ is: "paste", text: pasted, lines }),
    },
    onUsed: props.onUsed,
    onStatus: (next) => {
      setStatus(next);
      if (next.is !== "connecting") {
        props.onChange();
      }
    },
    onNote: (said) => setNote({ text: said }),
    onPeople: props.onPeople,
    onForeground: props.onForeground,
    onIdle: setSleepsAt,
  });

  const focus = () => emulator?.terminal.focus();
  const download = () => emulator && save(emulator.transcript(), `${machine}-${terminal.name}`);
  useImperativeHandle(props.ref, () => ({ focus, search: () => setSearching(true), download }));

  useEffect(() => {
    if (emulator && active && !readOnly) {
      emulator.terminal.focus();
    }
  }, [emulator, active, readOnly]);

  const answer = (asked: Question, yes: boolean) => {
    setQuestion(null);
    if (asked.is === "clipboard") {
      clipboardAnswer.current = yes;
      if (yes) {
        void fillClipboard(asked.text);
      }
    } else if (asked.is === "paste" && yes) {
      emulator?.terminal.paste(asked.text);
    }
    focus();
  };

  const paste = async () => {
    try {
      const pasted = await navigator.clipboard.readText();
      emulator?.paste(pasted);
      focus();
    } catch {
      setNote({ text: "The browser does not let this page read the clipboard. Press Ctrl+Shift+V instead." });
    }
  };

  const press = (key: PhoneKey) => {
    emulator?.terminal.input(sequenceOf(key, emulator.terminal.modes.applicationCursorKeysMode));
  };

  return (
    <div
      className="terminal"
      style={{ background: themeOf(settings.theme, dark).background }}
      role="tabpanel"
      aria-label={terminal.name}
      hidden={!visible}
      data-terminal={terminal.id}
      data-status={status.is}
      data-pane={pane ?? undefined}
      data-active={active || undefined}
      data-foreign={foreign ? true : undefined}
    >
      {searching && emulator && (
        <SearchBar
          emulator={emulator}
          onClose={() => {
            setSearching(false);
            focus();
          }}
        />
      )}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the menu's entries have keys of their own */}
      <div
        ref={element}
        className="terminal-screen"
        onContextMenu={(event) => {
          event.preventDefault();
          // A program that takes the mouse takes this button too; Shift gets the menu all the same.
          if (event.shiftKey || emulator?.terminal.modes.mouseTrackingMode === "none") {
            setMenu({ x: event.clientX, y: event.clientY });
          }
        }}
      />
      {foreign && status.is === "live" && !readOnly && (
        <div className="terminal-size" role="status">
          {foreign.columns}×{foreign.rows}, sized by another window. Click or type to use your size.
        </div>
      )}
      <StatusLine
        status={status}
        sleepsAt={sleepsAt}
        onKeepAwake={props.onKeepAwake}
        note={note}
        onNoteRead={noteRead}
        stopped={state === "stopped"}
        readOnly={readOnly}
        directory={stream?.directory ?? null}
        onWake={() => {
          stream?.wake();
          focus();
        }}
        onRestart={() => props.onRestart(stream?.directory ?? null)}
        restartRefused={props.restartRefused}
      />
      {!readOnly && <KeyRow control={control} onControl={() => setControl((on) => !on)} onKey={press} />}
      <ContextMenu
        place={menu}
        hasSelection={emulator?.terminal.hasSelection() ?? false}
        readOnly={readOnly}
        onCopy={() => void emulator?.copy().then(focus)}
        onPaste={() => void paste()}
        onSelectAll={() => emulator?.terminal.selectAll()}
        onSearch={() => setSearching(true)}
        onDownload={download}
        onClose={() => setMenu(null)}
      />
      <Questions
        question={question}
        onYes={(asked) => answer(asked, true)}
        onNo={(asked) => answer(asked, false)}
      />
    </div>
  );
}

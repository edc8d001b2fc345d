// One terminal on the page: emulator, connection, status line and search.
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import "@xterm/xterm/css/xterm.css";
import { streamUrl } from "../api/terminals";
import { browserSocket } from "./browser-socket";
import { Emulator } from "./emulator";
import { SearchBar } from "./search-bar";
import type { Status } from "./status";
import { StatusLine } from "./status-line";
import { TerminalStream } from "./stream";
import { DARK, LIGHT } from "./themes";

interface Props {
  org: string;
  machine: string;
  terminal: { id: string; name: string };
  visible: boolean;
  /** Whether its shell has never been attached to. */
  fresh: boolean;
  readOnly: boolean;
  /** The machine's state, to come back when it wakes for another reason. */
  state: string;
  fontSize: number;
  searching: boolean;
  onSearching: (searching: boolean) => void;
  /** Something happened that the records of the terminal and the machine say more about. */
  onChange: () => void;
  onNewTerminal: () => void;
  /** Why there can be no new terminal now. */
  newRefused: string | null;
}

function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

export function TerminalView(props: Props) {
  const { org, machine, terminal, visible, fresh, readOnly, state, fontSize, searching, onSearching } = props;
  const dark = useComputedColorScheme("light") === "dark";
  const element = useRef<HTMLDivElement>(null);
  const parts = useRef<{ emulator: Emulator; stream: TerminalStream } | null>(null);
  const [status, setStatus] = useState<Status>({ is: "connecting" });
  const [emulator, setEmulator] = useState<Emulator | null>(null);

  // What the long-lived objects below need of the last drawing.
  const latest = useRef({ ...props, dark, status });
  latest.current = { ...props, dark, status };

  useEffect(() => {
    if (!element.current) {
      return;
    }
    const container = element.current;
    const emulator = new Emulator({
      element: container,
      theme: latest.current.dark ? DARK : LIGHT,
      fontSize: latest.current.fontSize,
      readOnly,
      onInput: (bytes) => {
        // A stopped machine is started on purpose only, not by a key.
        if (!(latest.current.status.is === "asleep" && latest.current.state === "stopped")) {
          stream.type(bytes);
        }
      },
      onSearch: () => latest.current.onSearching(true),
    });
    const fit = () => {
      const size = readOnly ? null : emulator.fittingSize();
      if (size && (size.columns !== emulator.terminal.cols || size.rows !== emulator.terminal.rows)) {
        emulator.resize(size.columns, size.rows);
        stream.resize(size.columns, size.rows);
      }
    };
    const size = (readOnly ? null : emulator.fittingSize()) ?? { columns: 80, rows: 24 };
    emulator.resize(size.columns, size.rows);
    const stream = new TerminalStream({
      connect: (wake) => browserSocket(streamUrl(org, machine, terminal.id, wake)),
      screen: emulator,
      key: randomKey(),
      size,
      wake: latest.current.state !== "stopped",
      fresh: latest.current.fresh,
      visible: () => document.visibilityState === "visible",
      onStatus: (status) => {
        setStatus(status);
        if (status.is !== "connecting") {
          latest.current.onChange();
        }
      },
    });
    parts.current = { emulator, stream };
    setEmulator(emulator);
    stream.start();

    const observer = new ResizeObserver(fit);
    observer.observe(container);
    const nudge = () => {
      if (document.visibilityState === "visible") {
        stream.nudge();
      }
    };
    document.addEventListener("visibilitychange", nudge);
    window.addEventListener("online", nudge);
    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", nudge);
      window.removeEventListener("online", nudge);
      stream.dispose();
      emulator.dispose();
      parts.current = null;
      setEmulator(null);
    };
  }, [org, machine, terminal.id, readOnly]);

  useEffect(() => {
    if (emulator) {
      emulator.setVisible(visible);
      if (visible && !readOnly) {
        emulator.terminal.focus();
      }
    }
  }, [emulator, visible, readOnly]);

  useEffect(() => {
    if (emulator) {
      emulator.terminal.options.theme = dark ? DARK : LIGHT;
    }
  }, [emulator, dark]);

  useEffect(() => {
    if (!emulator) {
      return;
    }
    emulator.terminal.options.fontSize = fontSize;
    const size = readOnly ? null : emulator.fittingSize();
    if (size) {
      emulator.resize(size.columns, size.rows);
      parts.current?.stream.resize(size.columns, size.rows);
    }
  }, [emulator, fontSize, readOnly]);

  // Somebody else woke the machine, or it was started: come back without asking for a wake.
  useEffect(() => {
    if (state === "running") {
      parts.current?.stream.nudge();
    }
  }, [state]);

  const focus = () => parts.current?.emulator.terminal.focus();
  return (
    <div
      className="terminal"
      style={{ background: (dark ? DARK : LIGHT).background }}
      role="tabpanel"
      aria-label={terminal.name}
      hidden={!visible}
      data-terminal={terminal.id}
      data-status={status.is}
      data-fresh={fresh || undefined}
    >
      {searching && emulator && (
        <SearchBar
          emulator={emulator}
          onClose={() => {
            onSearching(false);
            focus();
          }}
        />
      )}
      <div ref={element} className="terminal-screen" />
      <StatusLine
        status={status}
        stopped={state === "stopped"}
        readOnly={readOnly}
        onWake={() => {
          parts.current?.stream.wake();
          focus();
        }}
        onNewTerminal={props.onNewTerminal}
        newRefused={props.newRefused}
      />
    </div>
  );
}

// A service's log: its newest lines, what comes, a search, and the way back to the first line.
import {
  ActionIcon,
  Button,
  Group,
  Kbd,
  Loader,
  Text,
  TextInput,
  Tooltip,
  useComputedColorScheme,
} from "@mantine/core";
import { useDebouncedValue, useLocalStorage } from "@mantine/hooks";
import { IconArrowDown, IconClock, IconDownload, IconSearch, IconTextWrap, IconX } from "@tabler/icons-react";
import { type CSSProperties, type ReactNode, useRef, useState } from "react";
import { type LogOf, wholeLog } from "../api/logs";
import { notifyProblem, ProblemBox } from "../components/problem";
import { save } from "../components/save";
import { useKey } from "../components/use-key";
import { ansiColors } from "../terminal/themes";
import { plainText } from "./ansi";
import { Line, LogBlock } from "./lines";
import type { LogState } from "./live-log";
import { useFollow } from "./use-follow";
import { useLog } from "./use-log";

const AWAY: Record<string, string> = {
  asleep: "The machine is asleep",
  stopped: "The machine is stopped",
  failed: "The machine failed",
  deleting: "The machine is being deleted",
  awake_limit: "Too many machines are awake",
};

/** Longest text that is searched for, as the API has it. */
const SEARCH_MAX = 200;

export function LogViewer({ of, awake }: { of: LogOf; awake: boolean }) {
  const [typed, setTyped] = useState("");
  const [search] = useDebouncedValue(typed, 250);
  const [log, { buffer, state, older }] = useLog(of, search, awake);
  const list = useFollow(buffer);
  const [times, setTimes] = useLocalStorage({ key: "snapvm.logs.times", defaultValue: true });
  const [wrap, setWrap] = useLocalStorage({ key: "snapvm.logs.wrap", defaultValue: true });
  const [busy, setBusy] = useState<"older" | "download" | null>(null);
  const dark = useComputedColorScheme("light") === "dark";
  const searchField = useRef<HTMLInputElement>(null);

  // How many came since somebody scrolled up.
  const [seen, setSeen] = useState(0);
  if (list.following && seen !== buffer.arrived) {
    setSeen(buffer.arrived);
  }
  const news = Math.max(buffer.arrived - seen, 0);

  const isEmpty = buffer.count === 0 && !buffer.partial;
  useKey("/", () => searchField.current?.focus());
  useKey("g", list.toStart);
  useKey("G", list.toEnd);

  const work = async (what: "older" | "download", how: () => Promise<void>) => {
    setBusy(what);
    await how().catch(notifyProblem);
    setBusy(null);
  };
  const download = async () => {
    const lines = await wholeLog(of, search);
    const text = lines.map((line) => `${line.at ? `${line.at} ` : ""}${plainText(line.text)}\n`).join("");
    save(text, `${of.machine}-${of.service}-log`);
  };
  const wake = () => log.start(true);

  return (
    <div className="logs" style={{ ...ansiVariables(dark) }}>
      <Group className="logs-bar" gap={6} wrap="wrap">
        <TextInput
          ref={searchField}
          className="logs-search"
          size="xs"
          role="searchbox"
          aria-label="Search in the log"
          placeholder="Search"
          maxLength={SEARCH_MAX}
          leftSection={<IconSearch size={14} />}
          rightSectionWidth={typed ? 28 : 24}
          rightSection={
            typed ? (
              <ActionIcon
                variant="subtle"
                color="gray"
                size="sm"
                aria-label="Clear search"
                onClick={() => setTyped("")}
              >
                <IconX size={14} />
              </ActionIcon>
            ) : (
              <Kbd size="xs" className="wide-only">
                /
              </Kbd>
            )
          }
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              setTyped("");
              list.outer.current?.focus();
            }
          }}
        />
        <Status state={state} following={list.following} />
        <Group gap={2} ml="auto" wrap="nowrap">
          <Toggle label="Times" on={times} toggle={() => setTimes(!times)}>
            <IconClock size={16} />
          </Toggle>
          <Toggle label="Wrap long lines" on={wrap} toggle={() => setWrap(!wrap)}>
            <IconTextWrap size={16} />
          </Toggle>
          <Tooltip label={search ? "Download what was found" : "Download the whole log"}>
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label="Download"
              loading={busy === "download"}
              disabled={isEmpty || state.kind !== "live"}
              onClick={() => work("download", download)}
            >
              <IconDownload size={16} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </Group>
      {state.kind === "away" && !isEmpty && <Away state={state} wake={wake} className="logs-away" />}
      {state.kind === "refused" && <ProblemBox error={state.error} />}
      <div className="logs-frame">
        <div
          className="logs-lines code"
          ref={list.outer}
          onScroll={list.onScroll}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled with the keyboard
          tabIndex={0}
          role="log"
          aria-live="off"
          aria-label={`Log of ${of.service}`}
          data-times={times || undefined}
          data-wrap={wrap || undefined}
          data-state={state.kind}
        >
          <div ref={list.inner}>
            {older !== null && (
              <Button
                variant="subtle"
                size="compact-xs"
                loading={busy === "older"}
                onClick={() => work("older", () => log.loadOlder())}
              >
                {search ? "Search further back" : "Older lines"}
              </Button>
            )}
            {older === null && buffer.trimmed && (
              <div className="log-note">Earlier lines are not shown any more. Download has all of them.</div>
            )}
            {buffer.blocks.map((block) => (
              <LogBlock key={block.id} block={block} needle={search} />
            ))}
            {buffer.partial && <Line line={buffer.partial} needle={search} now={new Date()} />}
            {isEmpty && <Nothing state={state} search={search} wake={wake} hasOlder={older !== null} />}
          </div>
        </div>
        {!list.following && !isEmpty && (
          <Button
            className="logs-news"
            size="compact-sm"
            radius="xl"
            leftSection={<IconArrowDown size={14} />}
            onClick={list.toEnd}
          >
            {news === 0 ? "To the end" : `${news.toLocaleString("en")} new ${news === 1 ? "line" : "lines"}`}
          </Button>
        )}
      </div>
    </div>
  );
}

function Toggle({
  label,
  on,
  toggle,
  children,
}: {
  label: string;
  on: boolean;
  toggle: () => void;
  children: ReactNode;
}) {
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant={on ? "light" : "subtle"}
        color={on ? "teal" : "gray"}
        aria-label={label}
        aria-pressed={on}
        onClick={toggle}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}

function Status({ state, following }: { state: LogState; following: boolean }) {
  const [word, color] = {
    loading: ["Loading", "gray"],
    waking: ["Waking the machine", "blue"],
    live: following ? ["Following", "teal"] : ["Paused", "yellow"],
    reconnecting: ["Reconnecting", "yellow"],
    away: ["Not following", "indigo"],
    refused: ["Not following", "red"],
  }[state.kind] as [string, string];
  const status = (
    <Group gap={6} wrap="nowrap" role="status" aria-label="Log">
      {state.kind === "waking" || state.kind === "loading" ? (
        <Loader size={10} color={color} />
      ) : (
        <span className="state-dot" style={{ background: `var(--mantine-color-${color}-6)` }} />
      )}
      <Text size="xs" c="dimmed" className="nowrap">
        {word}
      </Text>
    </Group>
  );
  return state.kind === "reconnecting" ? <Tooltip label={state.detail}>{status}</Tooltip> : status;
}

/** In place of the lines when there are none. */
function Nothing({
  state,
  search,
  wake,
  hasOlder,
}: {
  state: LogState;
  search: string;
  wake: () => void;
  hasOlder: boolean;
}) {
  if (state.kind === "away") {
    // What the API says to programs names a parameter; people have a button.
    const asleep = { ...state, detail: "Its logs sleep with it, and looking does not wake it." };
    return <Away state={state.code === "asleep" ? asleep : state} wake={wake} className="logs-nothing" />;
  }
  const said = {
    loading: "",
    waking: "Waking the machine…",
    reconnecting: state.kind === "reconnecting" ? state.detail : "",
    refused: "",
    live:
      search === ""
        ? "Nothing was written yet. What the service writes to standard output and error appears here."
        : hasOlder
          ? "Nothing was found in the newest part."
          : `No line has “${search}”.`,
  }[state.kind];
  return (
    <Text size="sm" c="dimmed" className="logs-nothing" ff="text">
      {said}
    </Text>
  );
}

function Away({
  state,
  wake,
  className,
}: {
  state: Extract<LogState, { kind: "away" }>;
  wake: () => void;
  className: string;
}) {
  return (
    <div className={className} role="note">
      <div>
        <Text size="sm" fw={600} ff="text">
          {AWAY[state.code] ?? "The machine is not there"}
        </Text>
        <Text size="sm" c="dimmed" ff="text">
          {state.detail}
        </Text>
      </div>
      {(state.code === "asleep" || state.code === "awake_limit") && (
        <Button variant="default" onClick={wake}>
          Wake the machine
        </Button>
      )}
    </div>
  );
}

function ansiVariables(dark: boolean): CSSProperties {
  return Object.fromEntries(ansiColors(dark).map((color, at) => [`--ansi-${at}`, color])) as CSSProperties;
}

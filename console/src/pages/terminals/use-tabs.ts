// Which terminals have a tab: those that live, and those that ended under our eyes until they are closed. A shell that
// takes the place of one that ended has its tab.
import { useEffect, useRef, useState } from "react";
import type { Terminal } from "../../api/schema";

export interface Tab {
  /** The first terminal that it showed: it stays what it is when another shell takes over. */
  key: string;
  terminal: Terminal;
}

const NONE: ReadonlySet<string> = new Set();
const NOBODY: ReadonlyMap<string, string> = new Map();

function withOne(ids: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return ids.has(id) ? ids : new Set([...ids, id]);
}

export function useTerminalTabs(terminals: readonly Terminal[] | undefined, inUrl: string | undefined) {
  /** Those that were looked at: they are connected. */
  const [opened, setOpened] = useState(NONE);
  const [fresh, setFresh] = useState(NONE);
  const [dismissed, setDismissed] = useState(NONE);
  /** From the shell that took over to the key of its tab. */
  const [heirs, setHeirs] = useState(NOBODY);
  /** The last one chosen: other parts of the machine have addresses that name none. */
  const [last, setLast] = useState<string | undefined>(inUrl);
  /** A tab stays where it is when its shell is another one. */
  const places = useRef(new Map<string, number>());

  // The newest shell of each tab; tabs in the order in which they were first seen, oldest first.
  const newest = new Map<string, Terminal>();
  const oldestFirst = [...(terminals ?? [])].sort(
    (a, b) => Date.parse(a.created_at) - Date.parse(b.created_at) || a.id.localeCompare(b.id),
  );
  for (const terminal of oldestFirst) {
    const key = heirs.get(terminal.id) ?? terminal.id;
    newest.set(key, terminal);
    if (!places.current.has(key)) {
      places.current.set(key, places.current.size);
    }
  }
  const place = (key: string) => places.current.get(key) ?? 0;
  const tabs: Tab[] = [...newest]
    .map(([key, terminal]) => ({ key, terminal }))
    .filter(({ terminal: { id, ended_at } }) => !dismissed.has(id) && (!ended_at || opened.has(id)))
    .sort((a, b) => place(a.key) - place(b.key));
  const wanted = inUrl ?? last;
  const selected = (tabs.find(({ terminal }) => terminal.id === wanted) ?? tabs[0])?.terminal.id;

  useEffect(() => {
    if (selected) {
      setOpened((ids) => withOne(ids, selected));
      setLast(selected);
    }
  }, [selected]);

  return {
    tabs,
    selected,
    opened,
    fresh,
    open: (id: string) => setOpened((ids) => withOne(ids, id)),
    markFresh: (id: string) => setFresh((ids) => withOne(ids, id)),
    dismiss: (id: string) => setDismissed((ids) => withOne(ids, id)),
    /** The new shell takes over the tab of the old one. */
    takeOver: (key: string, id: string) => setHeirs((known) => new Map(known).set(id, key)),
  };
}

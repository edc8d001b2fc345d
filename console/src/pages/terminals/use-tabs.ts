// Which terminals have a tab: those that live, and those that ended under our eyes until they are closed.
import { useEffect, useState } from "react";
import type { Terminal } from "../../api/schema";

const NONE: ReadonlySet<string> = new Set();

function withOne(ids: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return ids.has(id) ? ids : new Set([...ids, id]);
}

export function useTerminalTabs(terminals: readonly Terminal[] | undefined, inUrl: string | undefined) {
  /** Those that were looked at: they are connected. */
  const [opened, setOpened] = useState(NONE);
  const [fresh, setFresh] = useState(NONE);
  const [dismissed, setDismissed] = useState(NONE);
  /** The last one chosen: other parts of the machine have addresses that name none. */
  const [last, setLast] = useState<string | undefined>(inUrl);

  const tabs = (terminals ?? []).filter(
    ({ id, ended_at }) => !dismissed.has(id) && (!ended_at || opened.has(id)),
  );
  const wanted = inUrl ?? last;
  const selected = (tabs.find(({ id }) => id === wanted) ?? tabs[0])?.id;

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
    markFresh: (id: string) => setFresh((ids) => withOne(ids, id)),
    dismiss: (id: string) => setDismissed((ids) => withOne(ids, id)),
  };
}

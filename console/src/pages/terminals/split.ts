// Two terminals beside or above each other. Pure: which terminal is in which pane, and what follows when one is chosen
// or goes.

export interface Split {
  as: "columns" | "rows";
  /** Terminals by pane. */
  panes: readonly [string, string];
  /** The pane that has the keyboard. */
  active: 0 | 1;
}

/** The split with this terminal active: in the pane where it is, or in place of the one that was active. */
export function choose(split: Split, terminal: string): Split {
  const at = split.panes.indexOf(terminal);
  if (at >= 0) {
    return { ...split, active: at === 0 ? 0 : 1 };
  }
  const [first, second] = split.panes;
  return { ...split, panes: split.active === 0 ? [terminal, second] : [first, terminal] };
}

/** The split without terminals that are gone: none is left of it unless there are still two. */
export function living(split: Split | null, terminals: readonly string[]): Split | null {
  return split?.panes.every((one) => terminals.includes(one)) ? split : null;
}

/** The split after another shell took the place of one. */
export function replaced(split: Split, old: string, by: string): Split {
  const [first, second] = split.panes;
  return { ...split, panes: [first === old ? by : first, second === old ? by : second] };
}

/** What is stored may be of another version. */
export function readSplit(stored: string | undefined): Split | null {
  try {
    const { as, panes, active } = JSON.parse(stored ?? "null") ?? {};
    const [first, second] = Array.isArray(panes) ? panes : [];
    const whole = typeof first === "string" && typeof second === "string" && first !== second;
    return whole && (as === "columns" || as === "rows")
      ? { as, panes: [first, second], active: active === 1 ? 1 : 0 }
      : null;
  } catch {
    return null;
  }
}

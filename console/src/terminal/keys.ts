// The terminal's own keys: which ones never reach the shell, and what they do. Pure; the help lists what is here.

export type Command =
  | { is: "search" }
  | { is: "copy" }
  | { is: "paste" }
  | { is: "larger" }
  | { is: "smaller" }
  | { is: "usual-size" }
  | { is: "new" }
  | { is: "split"; as: "columns" | "rows" }
  | { is: "other-pane" }
  | { is: "tabs" }
  | { is: "tab"; number: number }
  | { is: "help" };

/** The part of a keyboard event that counts. */
export interface Key {
  code: string;
  key: string;
  ctrlKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

const WITH_CONTROL_SHIFT: Record<string, Command> = {
  KeyF: { is: "search" },
  KeyC: { is: "copy" },
  KeyV: { is: "paste" },
  Enter: { is: "new" },
  KeyE: { is: "split", as: "columns" },
  KeyO: { is: "split", as: "rows" },
  KeyX: { is: "other-pane" },
  KeyB: { is: "tabs" },
  KeyH: { is: "help" },
};

const SIZES: Record<string, Command> = {
  "+": { is: "larger" },
  "=": { is: "larger" },
  "-": { is: "smaller" },
  "0": { is: "usual-size" },
};

/** What a key does here; `null` when it is the shell's, or the browser's. */
export function commandOf(key: Key, mac: boolean): Command | null {
  if (key.altKey) {
    return null;
  }
  if (key.ctrlKey && key.shiftKey && !key.metaKey) {
    const digit = /^Digit([1-9])$/.exec(key.code)?.[1];
    return (
      WITH_CONTROL_SHIFT[key.code] ??
      (digit ? { is: "tab", number: Number(digit) } : null) ??
      (key.key === "+" ? { is: "larger" } : null)
    );
  }
  const main = mac ? key.metaKey && !key.ctrlKey : key.ctrlKey && !key.metaKey;
  if (!main) {
    return null;
  }
  if (mac && key.code === "KeyF" && !key.shiftKey) {
    return { is: "search" };
  }
  return SIZES[key.key] ?? null;
}

/** For people: keys, and what they do in a terminal. */
export const TERMINAL_KEYS: readonly [string[], string][] = [
  [["Ctrl", "Shift", "Enter"], "New terminal"],
  [["Ctrl", "Shift", "1 … 9"], "Go to that tab"],
  [["Ctrl", "Shift", "E"], "Split side by side, or undo it"],
  [["Ctrl", "Shift", "O"], "Split one above the other, or undo it"],
  [["Ctrl", "Shift", "X"], "Go to the other pane"],
  [["Ctrl", "Shift", "F"], "Search in the terminal"],
  [["Ctrl", "Shift", "C"], "Copy what is selected"],
  [["Ctrl", "Shift", "V"], "Paste"],
  [["Ctrl", "+ − 0"], "Larger, smaller, usual text"],
  [["Ctrl", "Shift", "B"], "Leave the terminal for its tab, from where Tab goes on"],
  [["F2"], "Rename the tab that has the focus"],
  [["Ctrl", "Shift", "H"], "Show these keys"],
];

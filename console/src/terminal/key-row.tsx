// The row of keys under a terminal on a phone. The on-screen keyboard stays where it is: the row takes no focus.
import { IconArrowDown, IconArrowLeft, IconArrowRight, IconArrowUp } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { PhoneKey } from "./phone-keys";

const KEYS: readonly [PhoneKey, string, ReactNode][] = [
  ["escape", "Escape", "Esc"],
  ["tab", "Tab", "Tab"],
  ["left", "Left", <IconArrowLeft key="left" size={16} />],
  ["up", "Up", <IconArrowUp key="up" size={16} />],
  ["down", "Down", <IconArrowDown key="down" size={16} />],
  ["right", "Right", <IconArrowRight key="right" size={16} />],
];

interface Props {
  /** Whether the next character is sent with Ctrl. */
  control: boolean;
  onControl: () => void;
  onKey: (key: PhoneKey) => void;
}

export function KeyRow({ control, onControl, onKey }: Props) {
  const [first, second, ...arrows] = KEYS;
  const button = ([key, label, face]: (typeof KEYS)[number]) => (
    <button key={key} type="button" aria-label={label} onClick={() => onKey(key)}>
      {face}
    </button>
  );
  return (
    <div
      className="terminal-keys phone-only"
      role="toolbar"
      aria-label="Keys"
      onMouseDown={(event) => event.preventDefault()}
    >
      {first && button(first)}
      {second && button(second)}
      <button type="button" aria-label="Control" aria-pressed={control} onClick={onControl}>
        Ctrl
      </button>
      {arrows.map(button)}
    </div>
  );
}

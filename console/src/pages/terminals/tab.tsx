// One terminal's tab: its name, which a double click or F2 changes, and the way to end it.
import { ActionIcon } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useState } from "react";
import type { Terminal } from "../../api/schema";

interface Props {
  terminal: Terminal;
  /** The command that runs in it. */
  command: string | null;
  /** Whether it has the keyboard. */
  selected: boolean;
  /** Whether it is in a pane. */
  shown: boolean;
  canRename: boolean;
  canClose: boolean;
  onSelect: () => void;
  onRename: (name: string) => void;
  onClose: () => void;
}

const NAME_MAX = 60;

export function TerminalTab(props: Props) {
  const { terminal, command, selected, shown, canRename, canClose } = props;
  const [renaming, setRenaming] = useState(false);
  const rename = () => {
    if (canRename) {
      setRenaming(true);
    }
  };
  if (renaming) {
    return (
      <NameField
        name={terminal.name}
        onDone={(name) => {
          setRenaming(false);
          if (name && name !== terminal.name) {
            props.onRename(name);
          }
        }}
      />
    );
  }
  const title = [
    terminal.created_by ? `Opened by ${terminal.created_by}` : "",
    canRename ? "Double click or F2 renames it" : "",
  ];
  return (
    <div className="terminal-tab" data-selected={selected || undefined} data-shown={shown || undefined}>
      <button
        type="button"
        role="tab"
        aria-selected={selected}
        tabIndex={selected ? 0 : -1}
        title={title.filter((part) => part !== "").join(". ") || undefined}
        onClick={props.onSelect}
        onDoubleClick={rename}
        onKeyDown={(event) => {
          if (event.key === "F2") {
            event.preventDefault();
            rename();
          }
        }}
      >
        {terminal.name}
        {command && !terminal.ended_at && <span className="terminal-tab-note"> {command}</span>}
        {terminal.ended_at && <span className="terminal-tab-note"> ended</span>}
      </button>
      {canClose && (
        <ActionIcon
          size={18}
          variant="subtle"
          color="gray"
          aria-label={`Close ${terminal.name}`}
          onClick={props.onClose}
        >
          <IconX size={12} />
        </ActionIcon>
      )}
    </div>
  );
}

/** `onDone` gets nothing when the name stays as it was. */
function NameField({ name, onDone }: { name: string; onDone: (name: string | null) => void }) {
  const [text, setText] = useState(name);
  const done = () => onDone(text.trim() || null);
  return (
    <input
      className="terminal-tab-name"
      aria-label={`New name of ${name}`}
      // biome-ignore lint/a11y/noAutofocus: whoever asked for it types next
      autoFocus
      maxLength={NAME_MAX}
      size={Math.max(text.length, 6)}
      value={text}
      onFocus={(event) => event.currentTarget.select()}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={done}
      onKeyDown={(event) => {
        if (event.key === "Enter") {
          done();
        } else if (event.key === "Escape") {
          onDone(null);
        }
      }}
    />
  );
}

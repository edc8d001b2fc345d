// One terminal's tab: its name, and the way to end it.
import { ActionIcon } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import type { Terminal } from "../../api/schema";

interface Props {
  terminal: Terminal;
  /** Whether it has the keyboard. */
  selected: boolean;
  /** Whether it is in a pane. */
  shown: boolean;
  canClose: boolean;
  onSelect: () => void;
  onClose: () => void;
}

export function TerminalTab(props: Props) {
  const { terminal, selected, shown, canClose } = props;
  return (
    <div className="terminal-tab" data-selected={selected || undefined} data-shown={shown || undefined}>
      <button
        type="button"
        role="tab"
        aria-selected={selected}
        tabIndex={selected ? 0 : -1}
        title={terminal.created_by ? `Opened by ${terminal.created_by}` : undefined}
        onClick={props.onSelect}
      >
        {terminal.name}
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

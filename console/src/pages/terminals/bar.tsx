// The bar over the terminals: tabs, who else is here, and what can be done with the terminal that has the keyboard.
import { ActionIcon, Group, Menu } from "@mantine/core";
import {
  IconDotsVertical,
  IconDownload,
  IconExternalLink,
  IconLayoutColumns,
  IconLayoutRows,
  IconPlus,
  IconRectangle,
  IconSearch,
} from "@tabler/icons-react";
import { useRef } from "react";
import type { Terminal } from "../../api/schema";
import { ActionIconButton, ActionMenuItem } from "../../components/action-button";
import type { Foreground, Person } from "../../terminal/frames";
import type { Command } from "../../terminal/keys";
import { KeysHelp } from "../../terminal/keys-help";
import { People } from "../../terminal/people";
import type { useTerminalSettings } from "../../terminal/settings";
import { SettingsMenu } from "../../terminal/settings-menu";
import type { TerminalHandle } from "../../terminal/view";
import type { Split } from "./split";
import { TerminalTab } from "./tab";
import type { Tab } from "./use-tabs";

interface Props {
  tabs: readonly Tab[];
  selected: string | undefined;
  split: Split | null;
  people: readonly Person[];
  /** What runs in each, where that is known. */
  running: Readonly<Record<string, Foreground | null>>;
  look: ReturnType<typeof useTerminalSettings>;
  helping: boolean;
  onHelp: (opened: boolean) => void;
  /** Why this role may not change terminals. */
  roleRefused: string | null;
  /** Why there can be no new terminal now. */
  newRefused: string | null;
  creating: boolean;
  /** Where a terminal has a page of its own. */
  hrefOf: (terminal: string) => string;
  handle: () => TerminalHandle | undefined;
  onSelect: (terminal: string) => void;
  onRename: (terminal: string, name: string) => void;
  onClose: (terminal: Terminal) => void;
  onCommand: (command: Command) => void;
}

export function TerminalBar(props: Props) {
  const { tabs, selected, split, roleRefused, newRefused, onCommand, handle } = props;
  const list = useRef<HTMLDivElement>(null);
  // As in every list of tabs: arrows choose.
  const move = (step: number) => {
    const at = tabs.findIndex(({ terminal }) => terminal.id === selected);
    const next = tabs[(at + step + tabs.length) % tabs.length];
    if (next) {
      props.onSelect(next.terminal.id);
      list.current?.querySelectorAll<HTMLElement>("[role=tab]")[tabs.indexOf(next)]?.focus();
    }
  };
  return (
    <div className="terminal-bar">
      <div
        ref={list}
        role="tablist"
        aria-label="Terminals"
        className="terminal-tabs"
        onKeyDown={(event) => {
          if (event.target instanceof HTMLInputElement) {
            return;
          }
          if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
            move(event.key === "ArrowRight" ? 1 : -1);
          }
        }}
      >
        {tabs.map(({ key, terminal }) => (
          <TerminalTab
            key={key}
            terminal={terminal}
            command={props.running[terminal.id]?.command ?? null}
            selected={terminal.id === selected}
            shown={split?.panes.includes(terminal.id) ?? false}
            canRename={!roleRefused && !terminal.ended_at}
            canClose={!roleRefused || !!terminal.ended_at}
            onSelect={() => props.onSelect(terminal.id)}
            onRename={(name) => props.onRename(terminal.id, name)}
            onClose={() => props.onClose(terminal)}
          />
        ))}
        <ActionIconButton
          label="New terminal"
          refused={newRefused}
          onClick={() => onCommand({ is: "new" })}
          loading={props.creating}
        >
          <IconPlus size={16} />
        </ActionIconButton>
      </div>
      <Group gap={0} wrap="nowrap">
        <People people={props.people} />
        {/* A click here leaves the keyboard with the terminal. */}
        <Group gap={0} wrap="nowrap" onMouseDown={(event) => event.preventDefault()}>
          <ActionIconButton
            label="Search (Ctrl+Shift+F)"
            className="wide-only"
            onClick={() => handle()?.search()}
          >
            <IconSearch size={15} />
          </ActionIconButton>
          <SplitButtons split={split} refused={tabs.length < 2 ? newRefused : null} onCommand={onCommand} />
        </Group>
        <SettingsMenu
          settings={props.look.settings}
          onChange={props.look.change}
          onResizeText={props.look.resizeText}
        />
        <KeysHelp opened={props.helping} onChange={props.onHelp} />
        <Menu width={220}>
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" aria-label="More">
              <IconDotsVertical size={16} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item
              className="phone-only"
              leftSection={<IconSearch size={15} />}
              onClick={() => handle()?.search()}
            >
              Search
            </Menu.Item>
            <Menu.Item leftSection={<IconDownload size={15} />} onClick={() => handle()?.download()}>
              Download transcript
            </Menu.Item>
            {selected && (
              <Menu.Item
                component="a"
                href={props.hrefOf(selected)}
                target="_blank"
                rel="noopener"
                leftSection={<IconExternalLink size={15} />}
              >
                Open in another window
              </Menu.Item>
            )}
            <Menu.Divider />
            <ActionMenuItem
              refused={roleRefused}
              color="red"
              onClick={() => {
                const tab = tabs.find(({ terminal }) => terminal.id === selected);
                if (tab) {
                  props.onClose(tab.terminal);
                }
              }}
            >
              {!selected || props.running[selected]?.running === false ? "End session" : "End session…"}
            </ActionMenuItem>
          </Menu.Dropdown>
        </Menu>
      </Group>
    </div>
  );
}

function SplitButtons({
  split,
  refused,
  onCommand,
}: {
  split: Split | null;
  refused: string | null;
  onCommand: (command: Command) => void;
}) {
  const buttons = [
    ["columns", "Split side by side (Ctrl+Shift+E)", IconLayoutColumns],
    ["rows", "Split one above the other (Ctrl+Shift+O)", IconLayoutRows],
  ] as const;
  return buttons.map(([as, label, Icon]) => {
    const on = split?.as === as;
    return (
      <ActionIconButton
        key={as}
        label={on ? "One pane" : label}
        className="wide-only"
        refused={split ? null : refused}
        onClick={() => onCommand({ is: "split", as })}
      >
        {on ? <IconRectangle size={16} /> : <Icon size={16} />}
      </ActionIconButton>
    );
  });
}

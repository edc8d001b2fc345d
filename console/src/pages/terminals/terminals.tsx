// The terminals of a machine: one tab each. Those that were looked at stay connected behind the others.
import { ActionIcon, Group } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { IconPlus, IconSearch, IconTextDecrease, IconTextIncrease, IconX } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { machineQuery } from "../../api/machines";
import type { Machine, Terminal } from "../../api/schema";
import { terminalsQuery, useCloseTerminal, useCreateTerminal } from "../../api/terminals";
import { ActionButton, ActionIconButton } from "../../components/action-button";
import { ConfirmDialog } from "../../components/confirm-dialog";
import { Empty, LoadError, Loading } from "../../components/page";
import { notifyProblem } from "../../components/problem";
import { refuseRole } from "../../domain/roles";
import { TerminalView } from "../../terminal/view";
import { useOrg } from "../orgs/use-org";
import { useTerminalTabs } from "./use-tabs";

const FONT = { least: 9, most: 24, usual: 13 };

export function Terminals({ machine, active }: { machine: Machine; active: boolean }) {
  const { org, name, state } = machine;
  const { role } = useOrg();
  const { data: terminals, error, refetch } = useQuery(terminalsQuery(org, name));
  const client = useQueryClient();
  const navigate = useNavigate();
  const { terminal: inUrl } = useSearch({ strict: false });
  const [fontSize, setFontSize] = useLocalStorage({
    key: "snapvm.terminal-font-size",
    defaultValue: FONT.usual,
    getInitialValueInEffect: false,
  });
  const [searching, setSearching] = useState(false);
  const [closing, setClosing] = useState<Terminal | null>(null);
  const create = useCreateTerminal(org, name);
  const close = useCloseTerminal(org, name);
  const { tabs, selected, opened, fresh, markFresh, dismiss } = useTerminalTabs(terminals, inUrl);

  const roleRefused = refuseRole(role, "member");
  const refused =
    roleRefused ??
    (state === "creating" ? "The machine is still being created." : null) ??
    (state === "deleting" ? "The machine is being deleted." : null) ??
    (state === "stopped" || state === "stopping" ? "The machine is stopped. Start it first." : null);

  // A connection often knows first: what the pages show follows it at once.
  const refresh = () => {
    void client.invalidateQueries({ queryKey: terminalsQuery(org, name).queryKey });
    void client.invalidateQueries({ queryKey: machineQuery(org, name).queryKey });
  };
  const show = (terminal: string | undefined) =>
    navigate({
      to: "/orgs/$org/machines/$machine/terminals",
      params: { org, machine: name },
      search: terminal ? { terminal } : {},
      replace: true,
    });
  const open = () =>
    create.mutate(nextName(tabs), {
      onSuccess: (terminal) => {
        markFresh(terminal.id);
        void show(terminal.id);
      },
      onError: notifyProblem,
    });
  const take = (terminal: Terminal) => {
    dismiss(terminal.id);
    if (terminal.id === selected) {
      void show(tabs.find(({ id }) => id !== terminal.id)?.id);
    }
  };

  if (!terminals) {
    return error ? (
      <div className="page">
        <LoadError error={error} retry={refetch} />
      </div>
    ) : (
      <Loading what="Loading terminals" />
    );
  }
  return (
    <>
      {tabs.length > 0 && (
        <div className="terminal-bar">
          <div role="tablist" aria-label="Terminals" className="terminal-tabs">
            {tabs.map((terminal) => (
              <div
                key={terminal.id}
                className="terminal-tab"
                data-selected={terminal.id === selected || undefined}
              >
                <button
                  type="button"
                  role="tab"
                  aria-selected={terminal.id === selected}
                  title={terminal.created_by ? `Opened by ${terminal.created_by}` : undefined}
                  onClick={() => show(terminal.id)}
                >
                  {terminal.name}
                  {terminal.ended_at && <span className="terminal-tab-note"> ended</span>}
                </button>
                {(terminal.ended_at || !roleRefused) && (
                  <ActionIcon
                    size={18}
                    variant="subtle"
                    color="gray"
                    aria-label={`Close ${terminal.name}`}
                    onClick={() => (terminal.ended_at ? take(terminal) : setClosing(terminal))}
                  >
                    <IconX size={12} />
                  </ActionIcon>
                )}
              </div>
            ))}
            <ActionIconButton
              label="New terminal"
              refused={refused}
              onClick={open}
              loading={create.isPending}
            >
              <IconPlus size={16} />
            </ActionIconButton>
          </div>
          {/* A click here leaves the keyboard with the terminal. */}
          <Group gap={0} wrap="nowrap" onMouseDown={(event) => event.preventDefault()}>
            <ActionIconButton label="Search (Ctrl+Shift+F)" onClick={() => setSearching(true)}>
              <IconSearch size={15} />
            </ActionIconButton>
            <ActionIconButton
              label="Smaller text"
              onClick={() => setFontSize((size) => Math.max(size - 1, FONT.least))}
            >
              <IconTextDecrease size={16} />
            </ActionIconButton>
            <ActionIconButton
              label="Larger text"
              onClick={() => setFontSize((size) => Math.min(size + 1, FONT.most))}
            >
              <IconTextIncrease size={16} />
            </ActionIconButton>
          </Group>
        </div>
      )}
      {tabs
        .filter(({ id }) => opened.has(id))
        .map((terminal) => (
          <TerminalView
            key={terminal.id}
            org={org}
            machine={name}
            terminal={terminal}
            visible={active && terminal.id === selected}
            fresh={fresh.has(terminal.id)}
            readOnly={roleRefused !== null}
            state={state}
            fontSize={fontSize}
            searching={searching && terminal.id === selected}
            onSearching={setSearching}
            onChange={refresh}
            onNewTerminal={open}
            newRefused={refused}
          />
        ))}
      {tabs.length === 0 && (
        <div className="machine-part">
          <Empty
            title="No open terminals"
            action={
              <ActionButton
                refused={refused}
                onClick={open}
                loading={create.isPending}
                leftSection={<IconPlus size={15} />}
              >
                New terminal
              </ActionButton>
            }
          >
            {roleRefused
              ? "When somebody opens a terminal, you can watch it here."
              : "A terminal's shell goes on when you close this page. Opening one wakes the machine."}
          </Empty>
        </div>
      )}
      <ConfirmDialog
        opened={closing !== null}
        title={`Close ${closing?.name ?? "terminal"}?`}
        confirm="End shell and close"
        pending={close.isPending}
        error={close.error}
        onConfirm={() => {
          if (closing) {
            close.mutate(closing.id, {
              onSuccess: () => {
                take(closing);
                setClosing(null);
              },
            });
          }
        }}
        onClose={() => {
          setClosing(null);
          close.reset();
        }}
      >
        Its shell and what runs in it are ended. To come back later instead, just leave this page.
      </ConfirmDialog>
    </>
  );
}

/** `Terminal`, `Terminal 2` and so on: the first that no tab has. */
function nextName(tabs: readonly Terminal[]): string {
  const names = new Set(tabs.map(({ name }) => name));
  for (let number = 1; ; number++) {
    const name = number === 1 ? "Terminal" : `Terminal ${number}`;
    if (!names.has(name)) {
      return name;
    }
  }
}

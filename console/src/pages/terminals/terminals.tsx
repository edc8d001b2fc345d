// The terminals of a machine: one tab each, one or two of them in view. Those that were looked at stay connected behind
// the others.
import { useLocalStorage, useMediaQuery } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { machineQuery } from "../../api/machines";
import type { Machine, Terminal } from "../../api/schema";
import { terminalsQuery, useCloseTerminal, useCreateTerminal, useRenameTerminal } from "../../api/terminals";
import { ActionButton } from "../../components/action-button";
import { ConfirmDialog } from "../../components/confirm-dialog";
import { Empty, LoadError, Loading } from "../../components/page";
import { notifyProblem } from "../../components/problem";
import { refuseRole } from "../../domain/roles";
import type { Foreground, Person } from "../../terminal/frames";
import type { Command } from "../../terminal/keys";
import { useTerminalSettings } from "../../terminal/settings";
import { type TerminalHandle, TerminalView } from "../../terminal/view";
import { KeepAwakeDialog } from "../machines/keep-awake-dialog";
import { useOrg } from "../orgs/use-org";
import { TerminalBar } from "./bar";
import { choose, living, readSplit, replaced, type Split } from "./split";
import { type Tab, useTerminalTabs } from "./use-tabs";

/** Two panes have no room on anything narrower. */
const WIDE = "(min-width: 48.0625em)";
const NOBODY: readonly Person[] = [];

export function Terminals({ machine, active }: { machine: Machine; active: boolean }) {
  const { org, name, state } = machine;
  const { role } = useOrg();
  const { data: terminals, error, refetch } = useQuery(terminalsQuery(org, name));
  const client = useQueryClient();
  const navigate = useNavigate();
  const router = useRouter();
  const { terminal: inUrl } = useSearch({ strict: false });
  const look = useTerminalSettings();
  const [stored, setSplit] = useLocalStorage<Split | null>({
    key: `snapvm.split.${machine.id}`,
    defaultValue: null,
    getInitialValueInEffect: false,
    deserialize: readSplit,
  });
  const wide = useMediaQuery(WIDE, true, { getInitialValueInEffect: false });
  const [helping, setHelping] = useState(false);
  const [closing, setClosing] = useState<Terminal | null>(null);
  const [keepingAwake, setKeepingAwake] = useState(false);
  const [people, setPeople] = useState<Record<string, readonly Person[]>>({});
  const [running, setRunning] = useState<Record<string, Foreground | null>>({});
  const handles = useRef(new Map<string, TerminalHandle>());
  const create = useCreateTerminal(org, name);
  const close = useCloseTerminal(org, name);
  const rename = useRenameTerminal(org, name);
  const { tabs, selected, opened, fresh, open, markFresh, dismiss, takeOver } = useTerminalTabs(
    terminals,
    inUrl,
  );

  const ids = tabs.map(({ terminal }) => terminal.id);
  const whole = wide ? living(stored, ids) : null;
  const split = whole && selected ? choose(whole, selected) : null;
  const tab = tabs.find(({ terminal }) => terminal.id === selected);

  const roleRefused = refuseRole(role, "member");
  const newRefused =
    roleRefused ??
    (state === "creating" ? "The machine is still being created." : null) ??
    (state === "deleting" ? "The machine is being deleted." : null) ??
    (state === "stopped" || state === "stopping" ? "The machine is stopped. Start it first." : null);

  // What is in the other pane is looked at too.
  const other = split?.panes[split.active === 0 ? 1 : 0];
  // biome-ignore lint/correctness/useExhaustiveDependencies: opening is by id
  useEffect(() => {
    if (other) {
      open(other);
    }
  }, [other]);

  // A connection often knows first: what the pages show follows it at once.
  const refresh = () => {
    void client.invalidateQueries({ queryKey: terminalsQuery(org, name).queryKey });
    void client.invalidateQueries({ queryKey: machineQuery(org, name).queryKey });
  };
  const addressOf = (terminal: string | undefined) => ({
    to: "/orgs/$org/machines/$machine/terminals" as const,
    params: { org, machine: name },
    search: terminal ? { terminal } : {},
  });
  const show = (terminal: string | undefined) => {
    if (split && terminal) {
      setSplit(choose(split, terminal));
    }
    return navigate({ ...addressOf(terminal), replace: true });
  };
  const start = (name: string, directory: string | null, then: (terminal: Terminal) => void) =>
    create.mutate(directory ? { name, directory } : { name }, {
      onSuccess: (terminal) => {
        markFresh(terminal.id);
        open(terminal.id);
        then(terminal);
      },
      onError: notifyProblem,
    });
  const add = () => start(nextName(tabs), null, ({ id }) => void show(id));
  const restart = ({ key, terminal: ended }: Tab, directory: string | null) =>
    start(ended.name, directory, ({ id }) => {
      takeOver(key, id);
      if (stored) {
        setSplit(replaced(stored, ended.id, id));
      }
      if (ended.id === selected) {
        void navigate({ ...addressOf(id), replace: true });
      }
    });
  const take = (terminal: Terminal) => {
    dismiss(terminal.id);
    if (terminal.id === selected) {
      void show(ids.find((id) => id !== terminal.id && id === other) ?? ids.find((id) => id !== terminal.id));
    }
  };
  const toggleSplit = (as: Split["as"]) => {
    if (split) {
      setSplit(split.as === as ? null : { ...split, as });
      return;
    }
    const beside = (id: string) => {
      if (selected) {
        setSplit({ as, panes: [selected, id], active: 0 });
      }
    };
    const known = ids.find((id) => id !== selected);
    if (known) {
      beside(known);
    } else if (!newRefused) {
      start(nextName(tabs), null, ({ id }) => beside(id));
    }
  };
  const run = (command: Command) => {
    switch (command.is) {
      case "new":
        if (!newRefused) {
          add();
        }
        break;
      case "tab":
        if (tabs[command.number - 1]) {
          void show(tabs[command.number - 1]?.terminal.id);
        }
        break;
      case "split":
        toggleSplit(command.as);
        break;
      case "other-pane":
        if (other) {
          void show(other);
        }
        break;
      case "tabs":
        document.querySelector<HTMLElement>(".terminal-tabs [role=tab][aria-selected=true]")?.focus();
        break;
      case "help":
        setHelping((opened) => !opened);
        break;
      case "larger":
        look.resizeText(1);
        break;
      case "smaller":
        look.resizeText(-1);
        break;
      case "usual-size":
        look.usualText();
        break;
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
  const paneOf = (terminal: string): number | null => {
    if (!active) {
      return null;
    }
    const at = split ? split.panes.indexOf(terminal) : terminal === selected ? 0 : -1;
    return at < 0 ? null : at;
  };
  return (
    <>
      {tabs.length > 0 && (
        <TerminalBar
          tabs={tabs}
          selected={selected}
          split={split}
          running={running}
          people={(selected && people[selected]) || NOBODY}
          look={look}
          helping={helping}
          onHelp={setHelping}
          roleRefused={roleRefused}
          newRefused={newRefused}
          creating={create.isPending}
          hrefOf={(terminal) => router.buildLocation(addressOf(terminal)).href}
          handle={() => handles.current.get(tab?.key ?? "")}
          onSelect={(terminal) => {
            void show(terminal);
          }}
          onRename={(terminal, name) => rename.mutate({ terminal, name }, { onError: notifyProblem })}
          onClose={(terminal) => {
            if (terminal.ended_at) {
              take(terminal);
            } else if (running[terminal.id]?.running === false) {
              // A shell waits for a command. What it has in the background is not known here.
              close.mutate(terminal.id, { onSuccess: () => take(terminal), onError: notifyProblem });
            } else {
              setClosing(terminal);
            }
          }}
          onCommand={run}
        />
      )}
      <div className="terminal-panes" data-split={split?.as} hidden={tabs.length === 0}>
        {tabs
          .filter(({ terminal }) => opened.has(terminal.id))
          .map((tab) => {
            const { key, terminal } = tab;
            return (
              <TerminalView
                key={key}
                ref={(handle) => {
                  if (handle) {
                    handles.current.set(key, handle);
                  }
                  return () => {
                    handles.current.delete(key);
                  };
                }}
                org={org}
                machine={name}
                terminal={terminal}
                pane={paneOf(terminal.id)}
                active={active && terminal.id === selected}
                fresh={fresh.has(terminal.id)}
                readOnly={roleRefused !== null}
                state={state}
                settings={look.settings}
                onCommand={run}
                onUsed={() => {
                  if (terminal.id !== selected) {
                    void show(terminal.id);
                  }
                }}
                onPeople={(now) => setPeople((known) => ({ ...known, [terminal.id]: now }))}
                onForeground={(now) => setRunning((known) => ({ ...known, [terminal.id]: now }))}
                onChange={refresh}
                onKeepAwake={() => setKeepingAwake(true)}
                onRestart={(directory) => restart(tab, directory)}
                restartRefused={newRefused ?? (create.isPending ? "A terminal is being opened." : null)}
              />
            );
          })}
      </div>
      {tabs.length === 0 && (
        <div className="machine-part">
          <Empty
            title="No open terminals"
            action={
              <ActionButton
                refused={newRefused}
                onClick={add}
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
      <KeepAwakeDialog opened={keepingAwake} machine={machine} onClose={() => setKeepingAwake(false)} />
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
        {closing && running[closing.id]?.command
          ? `${running[closing.id]?.command} runs in it, and is ended with its shell.`
          : "Its shell and what runs in it are ended."}{" "}
        To come back later instead, just leave this page.
      </ConfirmDialog>
    </>
  );
}

/** `Terminal`, `Terminal 2` and so on: the first that no tab has. */
function nextName(tabs: readonly Tab[]): string {
  const names = new Set(tabs.map(({ terminal }) => terminal.name));
  for (let number = 1; ; number++) {
    const name = number === 1 ? "Terminal" : `Terminal ${number}`;
    if (!names.has(name)) {
      return name;
    }
  }
}

// A machine: its header, and one tab at a time. The terminals stay connected behind the other tabs once opened.
import { Tabs } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { Link, Outlet, useMatchRoute } from "@tanstack/react-router";
import { Suspense, useRef } from "react";
import { isNotFound } from "../../api/client";
import { LoadError, Loading } from "../../components/page";
import { NotFound } from "../errors";
import { Terminals } from "../terminals/lazy";
import { MachineHeader } from "./header";
import { useMachine } from "./use-machine";

const TABS = [
  ["terminals", "Terminal"],
  ["services", "Services"],
  ["variables", "Variables"],
  ["ports", "Ports"],
  ["checkpoints", "Checkpoints"],
  ["activity", "Activity"],
  ["settings", "Settings"],
] as const;

export function MachinePage() {
  const { org, name, machine, query } = useMachine();
  const matches = useMatchRoute();
  const tab =
    TABS.find(([id]) =>
      matches({ to: `/orgs/$org/machines/$machine/${id}`, params: { org, machine: name } }),
    )?.[0] ?? "terminals";
  useDocumentTitle(`${name} · ${org} · SnapVM`);
  const terminalsOf = useRef<string | null>(null);

  if (isNotFound(query.error)) {
    return <NotFound what={`There is no machine ${name} in ${org}.`} />;
  }
  if (!machine) {
    return query.error ? (
      <div className="page">
        <LoadError error={query.error} retry={query.refetch} />
      </div>
    ) : (
      <Loading what="Loading the machine" />
    );
  }
  if (tab === "terminals") {
    terminalsOf.current = machine.id;
  }
  return (
    <div className="machine" data-tab={tab}>
      <MachineHeader machine={machine} />
      <Tabs value={tab} variant="default" className="machine-tabs" activateTabWithKeyboard={false}>
        <Tabs.List aria-label={`Parts of ${name}`}>
          {TABS.map(([id, label]) => (
            <Tabs.Tab
              key={id}
              value={id}
              renderRoot={(props) => (
                <Link to={`/orgs/$org/machines/$machine/${id}`} params={{ org, machine: name }} {...props} />
              )}
            >
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
      </Tabs>
      {terminalsOf.current === machine.id && (
        <div className="machine-terminals" hidden={tab !== "terminals"}>
          <Suspense fallback={<Loading what="Loading the terminal" />}>
            <Terminals key={machine.id} machine={machine} active={tab === "terminals"} />
          </Suspense>
        </div>
      )}
      {tab !== "terminals" && (
        <div className="machine-part">
          <Outlet />
        </div>
      )}
    </div>
  );
}

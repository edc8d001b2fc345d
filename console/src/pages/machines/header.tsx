// What a machine is doing, why, since when, its URL, and what can be asked of it.
import { Anchor, Group, Text, Title } from "@mantine/core";
import { IconChevronRight, IconMoon, IconPlayerPlay, IconPlayerStop } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useOrderMachine } from "../../api/machines";
import type { Machine } from "../../api/schema";
import { ActionButton } from "../../components/action-button";
import { CopyButton } from "../../components/copy-button";
import { notifyProblem } from "../../components/problem";
import { Since } from "../../components/since";
import { StateBadge } from "../../components/state-badge";
import { type MachineOrder, machineLook, refuseOrder } from "../../domain/lifecycle";
import { refuseRole } from "../../domain/roles";
import { useOrg } from "../orgs/use-org";
import { FirstBoot } from "./first-boot";
import { useStopQuestion } from "./stop-question";
import { WhyAwake } from "./why";

export function MachineHeader({ machine }: { machine: Machine }) {
  const { org, name, state } = machine;
  const { role } = useOrg();
  const order = useOrderMachine(org);
  const stop = useStopQuestion(org, name);
  const refused = (what: MachineOrder) => refuseRole(role, "member") ?? refuseOrder(what, state);
  const run = (what: MachineOrder) =>
    order.mutate({ machine: name, order: what }, { onError: notifyProblem });
  const pending = (what: MachineOrder) => order.isPending && order.variables.order === what;
  return (
    <header className="machine-header">
      <div style={{ minWidth: 0 }}>
        <Group gap={10} wrap="wrap">
          <Group gap={4} wrap="nowrap">
            <Anchor
              className="wide-only"
              c="dimmed"
              renderRoot={(props) => <Link to="/orgs/$org/machines" params={{ org }} {...props} />}
            >
              Machines
            </Anchor>
            <IconChevronRight
              size={14}
              className="wide-only"
              color="var(--mantine-color-dimmed)"
              aria-hidden
            />
            <Title order={1}>{name}</Title>
          </Group>
          <div role="status" aria-label="State">
            <StateBadge look={machineLook(state)} strong />
          </div>
          <Text size="sm" c="dimmed" span>
            <Since at={machine.state_at} />
          </Text>
        </Group>
        <Group gap="2px 14px" mt={3}>
          <Group gap={2} wrap="nowrap" miw={0}>
            <Anchor href={machine.url} target="_blank" rel="noreferrer" size="sm" className="code" truncate>
              {machine.url}
            </Anchor>
            <CopyButton text={machine.url} label="Copy the URL" />
          </Group>
          {machine.reason && (
            <Text size="sm" c={state === "failed" ? "red" : "dimmed"}>
              {machine.reason}
            </Text>
          )}
          <WhyAwake machine={machine} />
          <FirstBoot machine={machine} />
        </Group>
      </div>
      <Group gap={6} wrap="nowrap" className="machine-actions">
        <ActionButton
          variant="default"
          leftSection={<IconPlayerPlay size={14} />}
          refused={refused("start")}
          loading={pending("start")}
          onClick={() => run("start")}
        >
          Start
        </ActionButton>
        <ActionButton
          variant="default"
          leftSection={<IconMoon size={14} />}
          refused={refused("hibernate")}
          loading={pending("hibernate")}
          onClick={() => run("hibernate")}
        >
          Hibernate
        </ActionButton>
        <ActionButton
          variant="default"
          leftSection={<IconPlayerStop size={14} />}
          refused={refused("stop")}
          onClick={stop.ask}
        >
          Stop
        </ActionButton>
      </Group>
      {stop.dialog}
    </header>
  );
}

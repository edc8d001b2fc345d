// A machine in the list.
import { ActionIcon, Group, Menu, Table, Text, Tooltip } from "@mantine/core";
import { IconDots, IconExternalLink, IconMoon, IconPlayerPlay, IconPlayerStop } from "@tabler/icons-react";
import { Link, useNavigate } from "@tanstack/react-router";
import { useOrderMachine } from "../../api/machines";
import type { Machine, Offer, Role } from "../../api/schema";
import { ActionMenuItem } from "../../components/action-button";
import { notifyProblem } from "../../components/problem";
import { Since } from "../../components/since";
import { StateBadge } from "../../components/state-badge";
import { type MachineOrder, machineLook, refuseOrder } from "../../domain/lifecycle";
import { refuseRole } from "../../domain/roles";
import { useStopQuestion } from "./stop-question";

export function MachineRow({
  machine,
  offer,
  role,
}: {
  machine: Machine;
  offer: Offer | undefined;
  role: Role | undefined;
}) {
  const { org, name, state } = machine;
  const navigate = useNavigate();
  const order = useOrderMachine(org);
  const stop = useStopQuestion(org, name);
  const refused = (what: MachineOrder) => refuseRole(role, "member") ?? refuseOrder(what, state);
  const run = (what: MachineOrder) =>
    order.mutate({ machine: name, order: what }, { onError: notifyProblem });
  return (
    <Table.Tr
      className="clickable-row"
      onClick={(event) => {
        // A click on a link or a button is its own.
        if (!(event.target as Element).closest("a, button, [role=menu], [role=dialog]")) {
          void navigate({ to: "/orgs/$org/machines/$machine", params: { org, machine: name } });
        }
      }}
    >
      <Table.Td>
        <Link
          to="/orgs/$org/machines/$machine"
          params={{ org, machine: name }}
          className="row-link"
          data-row-link
          preload={false}
        >
          {name}
        </Link>
      </Table.Td>
      <Table.Td>
        <Tooltip label={machine.reason} disabled={!machine.reason}>
          <span>
            <StateBadge look={machineLook(state)} />
          </span>
        </Tooltip>
      </Table.Td>
      <Table.Td className="wide-only">
        <Text size="sm" c="dimmed" span>
          <Since at={machine.state_at} />
        </Text>
      </Table.Td>
      <Table.Td className="wide-only">
        {offer?.sizes.find((size) => size.id === machine.size)?.label ?? machine.size}
      </Table.Td>
      <Table.Td className="wide-only">
        {offer?.regions.find((region) => region.id === machine.region)?.label ?? machine.region}
      </Table.Td>
      <Table.Td className="wide-only">{machine.owner?.name ?? "–"}</Table.Td>
      <Table.Td>
        <Group gap={2} justify="flex-end" wrap="nowrap">
          <Tooltip label="Open its URL">
            <ActionIcon
              variant="subtle"
              color="gray"
              component="a"
              href={machine.url}
              target="_blank"
              rel="noreferrer"
              aria-label={`Open the URL of ${name}`}
            >
              <IconExternalLink size={16} />
            </ActionIcon>
          </Tooltip>
          <Menu width={170}>
            <Menu.Target>
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Actions for ${name}`}
                loading={order.isPending}
              >
                <IconDots size={16} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <ActionMenuItem
                icon={<IconPlayerPlay size={15} />}
                refused={refused("start")}
                onClick={() => run("start")}
              >
                Start
              </ActionMenuItem>
              <ActionMenuItem
                icon={<IconMoon size={15} />}
                refused={refused("hibernate")}
                onClick={() => run("hibernate")}
              >
                Hibernate
              </ActionMenuItem>
              <ActionMenuItem
                icon={<IconPlayerStop size={15} />}
                refused={refused("stop")}
                onClick={stop.ask}
              >
                Stop…
              </ActionMenuItem>
            </Menu.Dropdown>
          </Menu>
        </Group>
        {stop.dialog}
      </Table.Td>
    </Table.Tr>
  );
}

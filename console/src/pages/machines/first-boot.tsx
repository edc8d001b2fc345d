// How a machine's first boot goes or went, with its log, and a way to run it again.
import { Anchor, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Machine } from "../../api/schema";
import { servicesQuery, useOrderService } from "../../api/services";
import { ActionButton } from "../../components/action-button";
import { notifyProblem } from "../../components/problem";
import { FIRST_BOOT, setupLook } from "../../domain/first-boot";
import { refuseRole } from "../../domain/roles";
import { useOrg } from "../orgs/use-org";

/** Between two looks while it is not over. */
const POLL_MS = 2000;

export function FirstBoot({ machine }: { machine: Machine }) {
  const { org, name, state } = machine;
  const { role } = useOrg();
  const order = useOrderService(org, name);
  const { data: service } = useQuery({
    ...servicesQuery(org, name),
    select: (services) => services.find((one) => one.name === FIRST_BOOT),
    refetchInterval: (query) => {
      const found = query.state.data?.find((one) => one.name === FIRST_BOOT);
      return found && setupLook(found, state, Date.now())?.unfinished ? POLL_MS : false;
    },
  });
  const look = service && setupLook(service, state, Date.now());
  if (!look) {
    return null;
  }
  const canRun = !look.unfinished && look.color !== "teal";
  return (
    <Group gap={8} wrap="wrap" role="status" aria-label="Setup">
      <Text size="sm" c={look.color === "gray" ? "dimmed" : look.color}>
        {look.text}
      </Text>
      <Anchor
        size="sm"
        renderRoot={(props) => (
          <Link
            to="/orgs/$org/machines/$machine/services"
            params={{ org, machine: name }}
            search={{ logs: FIRST_BOOT }}
            {...props}
          />
        )}
      >
        Log
      </Anchor>
      {canRun && (
        <ActionButton
          size="compact-xs"
          variant="default"
          refused={refuseRole(role, "member") ?? (state === "running" ? null : "The machine is not running.")}
          loading={order.isPending}
          onClick={() => order.mutate({ service: FIRST_BOOT, order: "restart" }, { onError: notifyProblem })}
        >
          Run again
        </ActionButton>
      )}
    </Group>
  );
}

// The services of a machine.
import { ActionIcon, Anchor, Group, Menu, Stack, Table, Text, Tooltip } from "@mantine/core";
import {
  IconDots,
  IconFileText,
  IconPencil,
  IconPlayerPlay,
  IconPlayerStop,
  IconPlus,
  IconRefresh,
  IconTrash,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { deploymentQuery } from "../../api/deployment";
import type { MachineState, Service } from "../../api/schema";
import { type ServiceOrder, servicesQuery, useDeleteService, useOrderService } from "../../api/services";
import { ActionButton, ActionMenuItem } from "../../components/action-button";
import { ConfirmDialog } from "../../components/confirm-dialog";
import { Empty, LoadError, Loading, Section } from "../../components/page";
import { notifyProblem } from "../../components/problem";
import { StateBadge } from "../../components/state-badge";
import { appUrl } from "../../domain/app-url";
import { formatCommandLine } from "../../domain/command-line";
import { refuseRole } from "../../domain/roles";
import { neededBy, remarks, shortened } from "../../domain/services";
import { useMachine } from "../machines/use-machine";
import { ServiceDetail } from "./detail-dialog";
import { ServiceDialog } from "./edit-dialog";
import { ServiceLogs } from "./logs";
import { serviceStateLook } from "./state-look";

/** In the address, for a service that is not there yet. */
const NEW = ":new";

export function Services() {
  const { org, name, role, machine } = useMachine();
  const { data: services, error, refetch } = useQuery(servicesQuery(org, name));
  const navigate = useNavigate({ from: "/orgs/$org/machines/$machine/services" });
  const { edit, show, logs } = useSearch({ strict: false });
  const [deleting, setDeleting] = useState<string | null>(null);
  const remove = useDeleteService(org, name);
  const refused = refuseRole(role, "member");

  const openEdit = (service: string) => navigate({ search: { edit: service } });
  const define = (
    <ActionButton refused={refused} leftSection={<IconPlus size={15} />} onClick={() => openEdit(NEW)}>
      Define service
    </ActionButton>
  );
  if (!services) {
    return error ? <LoadError error={error} retry={refetch} /> : <Loading what="Loading services" />;
  }
  if (logs !== undefined) {
    const service = services.find((service) => service.name === logs);
    const state = machine?.state ?? "running";
    return <ServiceLogs key={logs} org={org} machine={name} state={state} name={logs} service={service} />;
  }
  return (
    <Section
      title="Services"
      description="Programs that run as long as the machine is awake, and again after every wake."
      actions={services.length > 0 ? define : undefined}
    >
      {services.length === 0 ? (
        <Empty title="No services yet" action={define}>
          Define one for a program that should be there whenever the machine is: a web server, a database, a
          worker.
        </Empty>
      ) : (
        <Table aria-label="Services">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th className="wide-only">Command</Table.Th>
              <Table.Th>HTTP</Table.Th>
              <Table.Th w={44} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {services.map((service) => (
              <Row
                key={service.name}
                service={service}
                org={org}
                machine={name}
                state={machine?.state ?? "running"}
                refused={refused}
                onShow={() => navigate({ search: { show: service.name } })}
                onLogs={() => navigate({ search: { logs: service.name } })}
                neededBy={neededBy(services, service.name)}
                onEdit={() => openEdit(service.name)}
                onDelete={() => setDeleting(service.name)}
              />
            ))}
          </Table.Tbody>
        </Table>
      )}
      <ServiceDialog
        opened={edit !== undefined && !refused}
        org={org}
        machine={name}
        services={services}
        service={services.find((service) => service.name === edit)}
        onClose={() => navigate({ search: {}, replace: true })}
      />
      <ServiceDetail
        service={services.find((service) => service.name === show)}
        services={services}
        machine={machine?.state ?? "running"}
        onLogs={() => navigate({ search: { logs: show } })}
        onClose={() => navigate({ search: {}, replace: true })}
      />
      <ConfirmDialog
        opened={deleting !== null}
        title={`Delete the service ${deleting}?`}
        confirm="Delete service"
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() => deleting && remove.mutate(deleting, { onSuccess: () => setDeleting(null) })}
        onClose={() => setDeleting(null)}
      >
        It is stopped, and not started again. Files of the machine stay as they are.
      </ConfirmDialog>
    </Section>
  );
}

function Row({
  service,
  org,
  machine,
  state,
  refused,
  neededBy,
  onShow,
  onLogs,
  onEdit,
  onDelete,
}: {
  service: Service;
  org: string;
  machine: string;
  state: MachineState;
  refused: string | null;
  neededBy: readonly string[];
  onShow: () => void;
  onLogs: () => void;
  onEdit: () => void;
  onDelete: () => void;
}) {
  const { data: deployment } = useQuery(deploymentQuery);
  const order = useOrderService(org, machine);
  const run = (what: ServiceOrder) =>
    order.mutate({ service: service.name, order: what }, { onError: notifyProblem });
  const isUp = service.desired === "up";
  const { status, http_port: port } = service;
  const command = shortened(formatCommandLine(service.command, service.args ?? []));
  const said = state === "running" ? remarks(service) : [];
  const url = deployment && port ? appUrl(deployment.apps, org, machine, port) : null;
  return (
    <Table.Tr>
      <Table.Td>
        <Anchor
          component="button"
          type="button"
          size="sm"
          fw={550}
          c="inherit"
          className="code nowrap"
          onClick={onShow}
        >
          {service.name}
        </Anchor>
      </Table.Td>
      <Table.Td>
        <Stack gap={0}>
          <StateBadge look={serviceStateLook(service, state)} />
          {said.length > 0 && (
            <Text size="xs" c={status?.state === "failed" ? "red" : "dimmed"}>
              {said.join(" · ")}
            </Text>
          )}
        </Stack>
      </Table.Td>
      <Table.Td className="wide-only" maw={380}>
        <Tooltip label={<span className="code">{command}</span>}>
          <Text size="sm" className="code" truncate>
            {command}
          </Text>
        </Tooltip>
      </Table.Td>
      <Table.Td>
        {url ? (
          <Anchor
            href={url}
            target="_blank"
            rel="noreferrer"
            size="sm"
            aria-label={`Open ${service.name} on port ${port}`}
          >
            {port}
          </Anchor>
        ) : (
          <Text size="sm" c="dimmed">
            –
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <Group justify="flex-end">
          <Menu width={150}>
            <Menu.Target>
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Actions for ${service.name}`}
                loading={order.isPending}
              >
                <IconDots size={16} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <ActionMenuItem icon={<IconFileText size={15} />} onClick={onLogs}>
                Logs
              </ActionMenuItem>
              <Menu.Divider />
              <ActionMenuItem
                icon={<IconPlayerPlay size={15} />}
                refused={refused ?? (isUp && status?.state === "running" ? "It is running." : null)}
                onClick={() => run("start")}
              >
                Start
              </ActionMenuItem>
              <ActionMenuItem
                icon={<IconRefresh size={15} />}
                refused={refused}
                onClick={() => run("restart")}
              >
                Restart
              </ActionMenuItem>
              <ActionMenuItem
                icon={<IconPlayerStop size={15} />}
                refused={refused ?? (isUp ? null : "It is stopped.")}
                onClick={() => run("stop")}
              >
                Stop
              </ActionMenuItem>
              <Menu.Divider />
              <ActionMenuItem icon={<IconPencil size={15} />} refused={refused} onClick={onEdit}>
                Edit
              </ActionMenuItem>
              <ActionMenuItem
                icon={<IconTrash size={15} />}
                color="red"
                refused={refused ?? (neededBy.length > 0 ? `Needed by ${neededBy.join(", ")}.` : null)}
                onClick={onDelete}
              >
                Delete…
              </ActionMenuItem>
            </Menu.Dropdown>
          </Menu>
        </Group>
      </Table.Td>
    </Table.Tr>
  );
}

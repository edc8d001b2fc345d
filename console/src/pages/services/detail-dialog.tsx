// One service, looked at: what it does now, how it is supervised, how its process ended.
import { Button, Group, Modal, Stack, Table, Text } from "@mantine/core";
import { IconFileText } from "@tabler/icons-react";
import type { MachineState, Service } from "../../api/schema";
import { Since } from "../../components/since";
import { StateBadge } from "../../components/state-badge";
import { formatCommandLine } from "../../domain/command-line";
import { exitText, neededBy, ranText, remarks } from "../../domain/services";
import { serviceStateLook } from "./state-look";

const CONTAINMENT: Record<string, string> = {
  cgroup: "By a control group: whatever it starts ends with it.",
  descent: "By process group and descent: this runtime gives no control groups.",
};

interface Props {
  service: Service | undefined;
  services: readonly Service[];
  machine: MachineState;
  onLogs: () => void;
  onClose: () => void;
}

export function ServiceDetail({ service, services, machine, onLogs, onClose }: Props) {
  return (
    <Modal
      opened={service !== undefined}
      onClose={onClose}
      title={service?.name}
      size="lg"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {service && <Detail service={service} services={services} machine={machine} onLogs={onLogs} />}
    </Modal>
  );
}

function Detail({
  service,
  services,
  machine,
  onLogs,
}: Omit<Props, "service" | "onClose"> & { service: Service }) {
  const { status } = service;
  const asleep = machine === "hibernated" || machine === "stopped";
  const needing = neededBy(services, service.name);
  const facts: [string, string | null][] = [
    ["Command", formatCommandLine(service.command, service.args ?? [])],
    ["Ready", asleep || !status ? null : status.ready ? "yes" : "no"],
    ["Process", status?.pid ? String(status.pid) : null],
    ["Needs", (service.needs ?? []).join(", ") || null],
    ["Needed by", needing.join(", ") || null],
    ["Processes found", status?.containment ? (CONTAINMENT[status.containment] ?? null) : null],
  ];
  return (
    <Stack gap="md">
      <Group justify="space-between" align="flex-start" wrap="nowrap">
        <div>
          <StateBadge look={serviceStateLook(service, machine)} strong />
          {remarks(service).map((remark) => (
            <Text key={remark} size="sm" c={status?.state === "failed" ? "red" : "dimmed"}>
              {remark}
            </Text>
          ))}
        </div>
        <Button variant="default" leftSection={<IconFileText size={15} />} onClick={onLogs}>
          Logs
        </Button>
      </Group>
      <Table variant="vertical" layout="fixed" aria-label="About the service">
        <Table.Tbody>
          {facts.map(
            ([name, value]) =>
              value !== null && (
                <Table.Tr key={name}>
                  <Table.Th w={130}>{name}</Table.Th>
                  <Table.Td
                    className={name === "Command" ? "code" : undefined}
                    style={{ overflowWrap: "anywhere", whiteSpace: "pre-wrap" }}
                  >
                    {value}
                  </Table.Td>
                </Table.Tr>
              ),
          )}
        </Table.Tbody>
      </Table>
      <Exits exits={status?.exits ?? []} />
    </Stack>
  );
}

function Exits({ exits }: { exits: NonNullable<Service["status"]>["exits"] }) {
  if (exits.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        Its process has not ended yet.
      </Text>
    );
  }
  return (
    <Table aria-label="Last exits">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Ended</Table.Th>
          <Table.Th>How</Table.Th>
          <Table.Th>After</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {exits.map((exit) => (
          <Table.Tr key={exit.at}>
            <Table.Td>
              <Since at={exit.at} />
            </Table.Td>
            <Table.Td>{exitText(exit)}</Table.Td>
            <Table.Td className="nowrap">{ranText(exit.ran_ms)}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

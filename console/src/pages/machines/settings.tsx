// A machine's settings, what it is made of, and its deletion.
import { Button, Group, NumberInput, SimpleGrid, Stack, Switch, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { deploymentQuery } from "../../api/deployment";
import { useDeleteMachine, useUpdateMachine } from "../../api/machines";
import { quotasQuery } from "../../api/quotas";
import type { Machine } from "../../api/schema";
import { ActionButton } from "../../components/action-button";
import { ConfirmDialog } from "../../components/confirm-dialog";
import { Loading, Section } from "../../components/page";
import { fieldError, notifyDone, ProblemBox } from "../../components/problem";
import { refusePort } from "../../domain/names";
import { refuseRole } from "../../domain/roles";
import { exactly } from "../../domain/time";
import { useMachine } from "./use-machine";

export function Settings() {
  const { machine } = useMachine();
  return machine ? (
    <Stack gap="xl" maw={720}>
      <Changeable machine={machine} />
      <Facts machine={machine} />
      <Deletion machine={machine} />
    </Stack>
  ) : (
    <Loading />
  );
}

const IDLE_MINUTES_LEAST = 5;

function Changeable({ machine }: { machine: Machine }) {
  const { org, role } = useMachine();
  const update = useUpdateMachine(org, machine.name);
  const [minutes, setMinutes] = useState<number | string>(machine.idle_seconds / 60);
  const [port, setPort] = useState<number | string>(machine.app_port);
  const [cpuCounts, setCpuCounts] = useState(machine.cpu_counts);
  const refused = refuseRole(role, "member");
  const { data: quotas } = useQuery(quotasQuery(org));
  const [least, most] = [IDLE_MINUTES_LEAST, (quotas?.idle.max_seconds ?? 86_400) / 60];
  const minutesRefused =
    typeof minutes === "number" && minutes >= least && minutes <= most
      ? null
      : `This is a number of minutes from ${least} to ${most}, the organization's limit.`;
  const portRefused = refusePort(Number(port));
  const changed =
    Number(minutes) * 60 !== machine.idle_seconds ||
    Number(port) !== machine.app_port ||
    cpuCounts !== machine.cpu_counts;
  return (
    <Section title="Settings">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          update.mutate(
            { idle_seconds: Math.round(Number(minutes) * 60), app_port: Number(port), cpu_counts: cpuCounts },
            { onSuccess: () => notifyDone("Saved.") },
          );
        }}
      >
        <Stack gap="sm">
          <SimpleGrid cols={{ base: 1, sm: 2 }}>
            <NumberInput
              label="Hibernate after"
              description="Minutes without terminals in use, requests or work."
              suffix=" min"
              value={minutes}
              onChange={setMinutes}
              allowDecimal={false}
              allowNegative={false}
              disabled={!!refused}
              error={minutesRefused ?? fieldError(update.error, "idle_seconds")}
            />
            <NumberInput
              label="App port"
              description="The port behind the machine's own URL."
              value={port}
              onChange={setPort}
              allowDecimal={false}
              allowNegative={false}
              disabled={!!refused}
              error={portRefused ?? fieldError(update.error, "app_port")}
            />
          </SimpleGrid>
          <Switch
            label="Load keeps it awake"
            description="A fifth of one processor or more counts as work: for builds and training runs that no terminal shows."
            checked={cpuCounts}
            onChange={(event) => setCpuCounts(event.currentTarget.checked)}
            disabled={!!refused}
          />
          <ProblemBox error={update.error} fields={["idle_seconds", "app_port"]} />
          {refused ? (
            <Text size="sm" c="dimmed">
              {refused}
            </Text>
          ) : (
            <Group>
              <Button
                type="submit"
                loading={update.isPending}
                disabled={!changed || !!minutesRefused || !!portRefused}
              >
                Save
              </Button>
            </Group>
          )}
        </Stack>
      </form>
    </Section>
  );
}

function Facts({ machine }: { machine: Machine }) {
  const { data: deployment } = useQuery(deploymentQuery);
  const size = deployment?.offer.sizes.find((one) => one.id === machine.size);
  const facts: [string, string][] = [
    [
      "Size",
      size
        ? `${size.label}: ${size.cpus} CPU, ${size.memory_mb / 1024} GiB, ${size.disk_gb} GiB disk`
        : machine.size,
    ],
    ["Region", deployment?.offer.regions.find((one) => one.id === machine.region)?.label ?? machine.region],
    ["Runtime", machine.runtime],
    ["Owner", machine.owner?.name ?? "nobody any more"],
    ["Created", exactly(machine.created_at)],
    ["Id", machine.id],
    ["Generation", String(machine.generation)],
  ];
  return (
    <Section title="What it is made of">
      <Table variant="vertical" layout="fixed" withTableBorder>
        <Table.Tbody>
          {facts.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th w={120}>{name}</Table.Th>
              <Table.Td style={{ overflowWrap: "anywhere" }}>{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Section>
  );
}

function Deletion({ machine }: { machine: Machine }) {
  const { org, role, account } = useMachine();
  const navigate = useNavigate();
  const remove = useDeleteMachine(org);
  const [opened, { open, close }] = useDisclosure();
  const isOwn = machine.owner?.account_id === account?.id;
  const refused =
    refuseRole(role, "member") ??
    (isOwn || refuseRole(role, "admin") === null
      ? null
      : "Only whoever created a machine, or an admin, may delete it.") ??
    (machine.state === "deleting" ? "It is being deleted." : null);
  return (
    <Section
      title="Delete"
      description="The machine, its files and its history go, and cannot be brought back."
    >
      <ActionButton color="red" variant="outline" refused={refused} onClick={open}>
        Delete machine…
      </ActionButton>
      <ConfirmDialog
        opened={opened}
        title={`Delete ${machine.name}?`}
        confirm="Delete machine"
        typed={machine.name}
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() =>
          remove.mutate(machine.name, {
            onSuccess: () => {
              notifyDone(`${machine.name} is being deleted.`);
              void navigate({ to: "/orgs/$org/machines", params: { org } });
            },
          })
        }
        onClose={close}
      >
        All its files are deleted. Nobody can bring them back.
      </ConfirmDialog>
    </Section>
  );
}

// For how long an organization's machines were awake, month by month, and its limits.
import { ActionIcon, Button, Group, Stack, Table, Text } from "@mantine/core";
import { IconChevronLeft, IconChevronRight, IconDownload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { Usage } from "../../api/schema";
import { usageQuery } from "../../api/usage";
import { Empty, LoadError, Loading, Page, Section } from "../../components/page";
import { addMonths, monthName, monthOf } from "../../domain/month";
import { hours } from "../../domain/time";
import { useOrg } from "../orgs/use-org";
import { Limits } from "../quotas/limits";
import { Days } from "./days";
import { usageTable } from "./table";

export function UsagePage() {
  const { slug: org } = useOrg();
  const present = monthOf(Date.now());
  const { month = present } = useSearch({ from: "/signed-in/orgs/$org/usage" });
  const { data: usage, error, refetch, isPlaceholderData } = useQuery(usageQuery(org, month));
  return (
    <Page title="Usage">
      <Stack gap="xl">
        <Limits org={org} />
        <Section
          title="Awake time"
          description="From the moment a machine is woken until its runtime has paused. Days are UTC."
          actions={<Months month={month} present={present} />}
        >
          {usage ? (
            <div style={{ opacity: isPlaceholderData ? 0.6 : 1 }}>
              <Month org={org} month={month} usage={usage} />
            </div>
          ) : error ? (
            <LoadError error={error} retry={refetch} />
          ) : (
            <Loading what="Loading usage" />
          )}
        </Section>
      </Stack>
    </Page>
  );
}

function Months({ month, present }: { month: string; present: string }) {
  const navigate = useNavigate({ from: "/orgs/$org/usage" });
  const go = (count: number) => {
    const next = addMonths(month, count);
    void navigate({ search: next === present ? {} : { month: next } });
  };
  return (
    <Group gap={4} wrap="nowrap">
      <ActionIcon variant="default" aria-label="Month before" onClick={() => go(-1)}>
        <IconChevronLeft size={15} />
      </ActionIcon>
      <Text size="sm" fw={500} ta="center" w={130} aria-live="polite">
        {monthName(month)}
      </Text>
      <ActionIcon
        variant="default"
        aria-label="Month after"
        disabled={month >= present}
        onClick={() => go(1)}
      >
        <IconChevronRight size={15} />
      </ActionIcon>
    </Group>
  );
}

function Month({ org, month, usage }: { org: string; month: string; usage: Usage }) {
  if (usage.machines.length === 0) {
    return (
      <Empty title={`No machine was awake in ${monthName(month)}`}>
        Machines count only while they are awake; asleep they keep their files and cost no time.
      </Empty>
    );
  }
  return (
    <Stack gap="md">
      <Group gap="xl">
        <Total label="In all" seconds={usage.awake_seconds} />
        {usage.sizes.length > 1 &&
          usage.sizes.map(({ size, awake_seconds }) => (
            <Total key={size} label={size} seconds={awake_seconds} />
          ))}
      </Group>
      <Days month={month} days={usage.days} />
      <Table aria-label="Awake time by machine">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Machine</Table.Th>
            <Table.Th className="wide-only">Size</Table.Th>
            <Table.Th ta="right">Woken</Table.Th>
            <Table.Th ta="right">Awake</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {usage.machines.map((machine) => (
            <Table.Tr key={`${machine.id} ${machine.size}`}>
              <Table.Td>
                {machine.exists ? (
                  <Link
                    className="row-link"
                    to="/orgs/$org/machines/$machine"
                    params={{ org, machine: machine.name }}
                  >
                    {machine.name}
                  </Link>
                ) : (
                  <>
                    {machine.name}{" "}
                    <Text span size="xs" c="dimmed">
                      (deleted)
                    </Text>
                  </>
                )}
              </Table.Td>
              <Table.Td className="wide-only">{machine.size}</Table.Td>
              <Table.Td ta="right">{machine.wakes === 1 ? "once" : `${machine.wakes} times`}</Table.Td>
              <Table.Td ta="right" className="nowrap">
                {hours(machine.awake_seconds)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Group>
        <Button
          variant="default"
          leftSection={<IconDownload size={15} />}
          renderRoot={(props) => (
            <a {...props} href={usageTable(usage)} download={`${org}-usage-${month}.csv`}>
              {props.children}
            </a>
          )}
        >
          Download as CSV
        </Button>
      </Group>
    </Stack>
  );
}

function Total({ label, seconds }: { label: string; seconds: number }) {
  return (
    <div>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text size="xl" fw={600}>
        {hours(seconds)}
      </Text>
    </div>
  );
}

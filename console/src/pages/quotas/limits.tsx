// What an organization may have, and how much of it is used.
import { Progress, SimpleGrid, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { quotasQuery } from "../../api/quotas";
import type { QuotaCount } from "../../api/schema";
import { ActionButton } from "../../components/action-button";
import { LoadError, Loading, Section } from "../../components/page";
import { refuseRole } from "../../domain/roles";
import { duration } from "../../domain/time";
import { useOrg } from "../orgs/use-org";
import { EditLimitsDialog } from "./edit-dialog";

export function Limits({ org }: { org: string }) {
  const { role } = useOrg();
  const { data: quotas, error, refetch } = useQuery(quotasQuery(org));
  const [opened, { open, close }] = useDisclosure();
  return (
    <Section
      title="Limits"
      actions={
        <ActionButton variant="default" refused={refuseRole(role, "admin")} disabled={!quotas} onClick={open}>
          Change
        </ActionButton>
      }
    >
      {quotas ? (
        <>
          <SimpleGrid cols={{ base: 1, xs: 3 }} spacing="lg">
            <Count label="Machines" count={quotas.machines} />
            <Count label="Awake at the same time" count={quotas.awake} />
            <div>
              <Text size="xs" c="dimmed">
                Hibernate after
              </Text>
              <Text fw={600}>{duration(quotas.idle.seconds)}</Text>
              <Text size="xs" c="dimmed">
                of nothing, unless a machine says otherwise; at most {duration(quotas.idle.max_seconds)}
              </Text>
            </div>
          </SimpleGrid>
          <EditLimitsDialog opened={opened} org={org} quotas={quotas} onClose={close} />
        </>
      ) : error ? (
        <LoadError error={error} retry={refetch} />
      ) : (
        <Loading what="Loading limits" />
      )}
    </Section>
  );
}

function Count({ label, count }: { label: string; count: QuotaCount }) {
  const share = count.limit === 0 ? 100 : Math.min(100, (count.used / count.limit) * 100);
  return (
    <div>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text fw={600}>
        {count.used}{" "}
        <Text span c="dimmed" fw={400}>
          of {count.limit}
        </Text>
      </Text>
      <Progress
        value={share}
        size="sm"
        mt={4}
        color={share >= 100 ? "red" : share >= 80 ? "orange" : undefined}
        aria-label={`${label}: ${count.used} of ${count.limit}`}
      />
    </div>
  );
}

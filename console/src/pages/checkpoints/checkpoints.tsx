// The checkpoints of a machine: its files as they were, to go back to.
import { ActionIcon, Group, Menu, Stack, Table, Text } from "@mantine/core";
import { IconArrowBackUp, IconCamera, IconDots, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { checkpointsQuery, useDeleteCheckpoint } from "../../api/checkpoints";
import type { Checkpoint } from "../../api/schema";
import { ActionButton, ActionMenuItem } from "../../components/action-button";
import { ConfirmDialog } from "../../components/confirm-dialog";
import { Empty, LoadError, Loading, Section } from "../../components/page";
import { Since } from "../../components/since";
import { StateBadge } from "../../components/state-badge";
import { checkpointName, refuseBusy, refuseMore } from "../../domain/checkpoints";
import { checkpointLook } from "../../domain/lifecycle";
import { refuseRole } from "../../domain/roles";
import { useMachine } from "../machines/use-machine";
import { CreateCheckpointDialog } from "./create-dialog";
import { RestoreDialog } from "./restore-dialog";

export function Checkpoints() {
  const { org, name, role, machine } = useMachine();
  const { data, error, refetch } = useQuery(checkpointsQuery(org, name));
  const [creating, setCreating] = useState(false);
  const [restoring, setRestoring] = useState<Checkpoint | null>(null);
  const [deleting, setDeleting] = useState<Checkpoint | null>(null);
  const remove = useDeleteCheckpoint(org, name);
  if (!data) {
    return error ? <LoadError error={error} retry={refetch} /> : <Loading what="Loading checkpoints" />;
  }
  const { checkpoints, limit } = data;
  const full = refuseMore(checkpoints, limit);
  const refused =
    refuseRole(role, "member") ??
    (machine?.state === "creating" ? "The machine is still being created." : refuseBusy(checkpoints));
  const create = (
    <ActionButton
      refused={refused ?? full}
      leftSection={<IconCamera size={15} />}
      onClick={() => setCreating(true)}
    >
      Make a checkpoint
    </ActionButton>
  );
  return (
    <Section
      title="Checkpoints"
      description={`The machine's files as they were, to go back to. Up to ${limit} of them.`}
      actions={checkpoints.length > 0 ? create : undefined}
    >
      {checkpoints.length === 0 ? (
        <Empty title="No checkpoints yet" action={create}>
          Make one before something that may go wrong: an upgrade, a migration, an experiment. Going back to
          it brings all files of the machine to how they were, within seconds.
        </Empty>
      ) : (
        <Table aria-label="Checkpoints">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Checkpoint</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th className="wide-only">Made by</Table.Th>
              <Table.Th>When</Table.Th>
              <Table.Th w={44} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {checkpoints.map((checkpoint) => (
              <Row
                key={checkpoint.id}
                checkpoint={checkpoint}
                refused={refused}
                onRestore={() => setRestoring(checkpoint)}
                onDelete={() => setDeleting(checkpoint)}
              />
            ))}
          </Table.Tbody>
        </Table>
      )}
      <CreateCheckpointDialog opened={creating} org={org} machine={name} onClose={() => setCreating(false)} />
      <RestoreDialog
        checkpoint={restoring}
        org={org}
        machine={name}
        full={full}
        onClose={() => setRestoring(null)}
      />
      <ConfirmDialog
        opened={deleting !== null}
        title={`Delete ${deleting ? checkpointName(deleting) : ""}?`}
        confirm="Delete checkpoint"
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() => deleting && remove.mutate(deleting.id, { onSuccess: () => setDeleting(null) })}
        onClose={() => setDeleting(null)}
      >
        Nobody can go back to it any more. The machine and its present files stay as they are.
      </ConfirmDialog>
    </Section>
  );
}

function Row({
  checkpoint,
  refused,
  onRestore,
  onDelete,
}: {
  checkpoint: Checkpoint;
  refused: string | null;
  onRestore: () => void;
  onDelete: () => void;
}) {
  const { name, comment, state, reason, created_by: maker } = checkpoint;
  const failed = state === "failed" ? "There are no files behind it." : null;
  return (
    <Table.Tr>
      <Table.Td>
        <Stack gap={0}>
          <Text size="sm" fw={550}>
            {comment || <span className="code">{name ?? "…"}</span>}
          </Text>
          {comment && name && (
            <Text size="xs" c="dimmed" className="code">
              {name}
            </Text>
          )}
          {reason && (
            <Text size="xs" c={state === "failed" ? "red" : "dimmed"}>
              {reason}
            </Text>
          )}
        </Stack>
      </Table.Td>
      <Table.Td>
        <StateBadge look={checkpointLook(state)} />
      </Table.Td>
      <Table.Td className="wide-only">{maker ?? "–"}</Table.Td>
      <Table.Td>
        <Since at={checkpoint.created_at} />
      </Table.Td>
      <Table.Td>
        <Group justify="flex-end">
          <Menu width={150}>
            <Menu.Target>
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Actions for ${checkpointName(checkpoint)}`}
              >
                <IconDots size={16} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <ActionMenuItem
                icon={<IconArrowBackUp size={15} />}
                refused={refused ?? failed}
                onClick={onRestore}
              >
                Restore…
              </ActionMenuItem>
              <ActionMenuItem icon={<IconTrash size={15} />} color="red" refused={refused} onClick={onDelete}>
                Delete…
              </ActionMenuItem>
            </Menu.Dropdown>
          </Menu>
        </Group>
      </Table.Td>
    </Table.Tr>
  );
}

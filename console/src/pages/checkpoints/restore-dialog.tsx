// The question before a restore: exactly what it does, and whether to keep what is there now.
import { Alert, Button, Group, List, Modal, Stack, Switch, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useRestoreCheckpoint } from "../../api/checkpoints";
import type { Checkpoint } from "../../api/schema";
import { servicesQuery } from "../../api/services";
import { ProblemBox } from "../../components/problem";
import { checkpointName } from "../../domain/checkpoints";
import { exactly } from "../../domain/time";

interface Props {
  checkpoint: Checkpoint | null;
  org: string;
  machine: string;
  /** Why no other checkpoint can be made before. */
  full: string | null;
  onClose: () => void;
}

export function RestoreDialog(props: Props) {
  const { checkpoint } = props;
  return (
    <Modal
      opened={checkpoint !== null}
      onClose={props.onClose}
      title={`Restore ${props.machine} to ${checkpoint ? checkpointName(checkpoint) : ""}?`}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {checkpoint && <Question key={checkpoint.id} {...props} checkpoint={checkpoint} />}
    </Modal>
  );
}

function Question({ checkpoint, org, machine, full, onClose }: Props & { checkpoint: Checkpoint }) {
  const { data: services } = useQuery(servicesQuery(org, machine));
  const restore = useRestoreCheckpoint(org, machine);
  const [keep, setKeep] = useState(true);
  const first = keep && !full;
  const up = (services ?? []).filter(({ desired }) => desired === "up").map(({ name }) => name);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!restore.isPending) {
          const comment = `Before the restore to ${checkpoint.name ?? checkpoint.comment}`.slice(0, 200);
          restore.mutate(
            { checkpoint: checkpoint.id, first: first ? comment : null },
            { onSuccess: onClose },
          );
        }
      }}
    >
      <Stack gap="md">
        <List size="sm" spacing={6} aria-label="What a restore does">
          <List.Item>
            <strong>Files go back</strong> to {exactly(checkpoint.made_at ?? checkpoint.created_at)}. What was
            written since then is gone, other people's too.
          </List.Item>
          <List.Item>
            <strong>Terminals and everything that runs end.</strong> The machine starts anew, also when it
            sleeps now.
          </List.Item>
          <List.Item>
            {up.length > 0 ? (
              <>
                <strong>Services start again</strong> as they are defined today:{" "}
                <span className="code">{up.join(", ")}</span>.
              </>
            ) : (
              "Services stay as they are defined today."
            )}{" "}
            So do ports, members and settings.
          </List.Item>
        </List>
        <Switch
          label="Make a checkpoint of the present files first"
          description={full ?? "To be able to come back from here"}
          checked={first}
          disabled={!!full || restore.isPending}
          onChange={(event) => setKeep(event.currentTarget.checked)}
        />
        {restore.isPending && first && (
          <Alert variant="light" color="blue" role="status" py="xs">
            Making a checkpoint first. The restore begins when it is ready: keep this open.
          </Alert>
        )}
        <ProblemBox error={restore.error} />
        <Group justify="space-between" gap="xs">
          <Text size="xs" c="dimmed">
            {first ? "" : "What is there now will be lost."}
          </Text>
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" color="red" loading={restore.isPending} data-autofocus>
              Restore
            </Button>
          </Group>
        </Group>
      </Stack>
    </form>
  );
}

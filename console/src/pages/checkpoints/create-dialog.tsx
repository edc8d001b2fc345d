// Makes a checkpoint: what for.
import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { useCreateCheckpoint } from "../../api/checkpoints";
import { fieldError, ProblemBox } from "../../components/problem";

const COMMENT_MAX = 200;

interface Props {
  opened: boolean;
  org: string;
  machine: string;
  onClose: () => void;
}

export function CreateCheckpointDialog(props: Props) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title="Make a checkpoint"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Form {...props} />
    </Modal>
  );
}

function Form({ org, machine, onClose }: Props) {
  const create = useCreateCheckpoint(org, machine);
  const [comment, setComment] = useState("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!create.isPending) {
          create.mutate({ comment: comment.trim() }, { onSuccess: onClose });
        }
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Comment"
          description="What it is for, so that others know when to go back to it"
          data-autofocus
          maxLength={COMMENT_MAX}
          placeholder="Before the upgrade"
          value={comment}
          onChange={(event) => setComment(event.currentTarget.value)}
          error={fieldError(create.error, "comment")}
        />
        <Text size="xs" c="dimmed">
          The machine goes on while it is made, which takes from a second to a few minutes. Secrets in files
          are kept in it too.
        </Text>
        <ProblemBox error={create.error} fields={["comment"]} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Make checkpoint
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

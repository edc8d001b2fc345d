// A new API token. Its secret is shown once, here, and nowhere again.
import { Alert, Button, Group, Modal, Radio, Select, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import type { Scope } from "../../api/schema";
import { useCreateToken } from "../../api/tokens";
import { CopyButton } from "../../components/copy-button";
import { fieldError, ProblemBox } from "../../components/problem";

const EXPIRIES = ["7", "30", "90", "365"];
const FIELDS = ["name", "scope", "expires_in_days"] as const;

export function CreateTokenDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Create API token"
      closeOnClickOutside={false}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Form onClose={onClose} />
    </Modal>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const create = useCreateToken();
  const [name, setName] = useState("");
  const [scope, setScope] = useState<Scope>("read");
  const [days, setDays] = useState("90");
  if (create.data) {
    return (
      <Stack gap="sm">
        <Alert color="teal" variant="light" py="xs">
          Copy the token now: it is not shown again.
        </Alert>
        <Group gap={6} wrap="nowrap" className="panel" px="sm" py={8}>
          <Text size="sm" className="code" flex={1} data-testid="token">
            {create.data.token}
          </Text>
          <CopyButton text={create.data.token} label="Copy the token" />
        </Group>
        <Group justify="flex-end">
          <Button onClick={onClose} data-autofocus>
            Done
          </Button>
        </Group>
      </Stack>
    );
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate({ name: name.trim(), scope, expires_in_days: Number(days) });
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Name"
          description="What it is for."
          required
          data-autofocus
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={fieldError(create.error, "name")}
        />
        <Radio.Group
          label="Scope"
          value={scope}
          onChange={(value) => setScope(value as Scope)}
          error={fieldError(create.error, "scope")}
        >
          <Group mt={6}>
            <Radio size="xs" value="read" label="read: look" />
            <Radio size="xs" value="write" label="write: look and change" />
          </Group>
        </Radio.Group>
        <Select
          label="Expires"
          data={EXPIRIES.map((value) => ({ value, label: `in ${value} days` }))}
          value={days}
          onChange={(value) => value && setDays(value)}
          allowDeselect={false}
          error={fieldError(create.error, "expires_in_days")}
        />
        <ProblemBox error={create.error} fields={FIELDS} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!name.trim()}>
            Create token
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

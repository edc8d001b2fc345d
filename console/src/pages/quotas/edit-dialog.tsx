// Sets an organization's own limits.
import { Button, Group, Modal, NumberInput, SimpleGrid, Stack } from "@mantine/core";
import { useState } from "react";
import { useSetQuotas } from "../../api/quotas";
import type { PutQuotas, Quotas } from "../../api/schema";
import { fieldError, notifyDone, ProblemBox } from "../../components/problem";

interface Props {
  opened: boolean;
  org: string;
  quotas: Quotas;
  onClose: () => void;
}

export function EditLimitsDialog(props: Props) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title="Limits of the organization"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Form {...props} />
    </Modal>
  );
}

const FIELDS = ["machines", "awake", "idle_seconds", "idle_seconds_max"] as const;
/** What is empty is as the deployment has it. */
type Fields = Record<(typeof FIELDS)[number], number | string>;

function Form({ org, quotas, onClose }: Props) {
  const set = useSetQuotas(org);
  const minutes = (seconds: number | null | undefined) => (seconds ? seconds / 60 : "");
  const [fields, setFields] = useState<Fields>({
    machines: quotas.machines.own ?? "",
    awake: quotas.awake.own ?? "",
    idle_seconds: minutes(quotas.idle.own_seconds),
    idle_seconds_max: minutes(quotas.idle.own_max_seconds),
  });
  const input = (field: keyof Fields) => ({
    value: fields[field],
    onChange: (value: number | string) => setFields({ ...fields, [field]: value }),
    error: fieldError(set.error, field),
    allowDecimal: false,
    allowNegative: false,
    // The buttons inside would be next to nothing.
    hideControls: true,
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        set.mutate(request(fields), {
          onSuccess: () => {
            notifyDone("Saved.");
            onClose();
          },
        });
      }}
    >
      <Stack gap="sm">
        <SimpleGrid cols={2}>
          <NumberInput
            label="Machines"
            description={`At most ${quotas.machines.ceiling}`}
            placeholder={String(quotas.machines.ceiling)}
            data-autofocus
            {...input("machines")}
          />
          <NumberInput
            label="Awake at the same time"
            description={`At most ${quotas.awake.ceiling}`}
            placeholder={String(quotas.awake.ceiling)}
            {...input("awake")}
          />
          <NumberInput
            label="Hibernate after"
            description="Of new machines"
            suffix=" min"
            placeholder="15 min"
            {...input("idle_seconds")}
          />
          <NumberInput
            label="At most"
            description="Longer ones are shortened"
            suffix=" min"
            placeholder="1440 min"
            {...input("idle_seconds_max")}
          />
        </SimpleGrid>
        <ProblemBox error={set.error} fields={FIELDS} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={set.isPending}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function request(fields: Fields): PutQuotas {
  const count = (value: number | string) => (value === "" ? null : Number(value));
  const seconds = (value: number | string) => (value === "" ? null : Number(value) * 60);
  return {
    machines: count(fields.machines),
    awake: count(fields.awake),
    idle_seconds: seconds(fields.idle_seconds),
    idle_seconds_max: seconds(fields.idle_seconds_max),
  };
}

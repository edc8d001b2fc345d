// Takes a hold: what for, and for how long.
import { Button, Group, Modal, NumberInput, SegmentedControl, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { useCreateHold } from "../../api/holds";
import type { Machine } from "../../api/schema";
import { fieldError, ProblemBox } from "../../components/problem";
import { HOLD_MINUTES_MAX, HOLD_REASON_MAX, minutesUntilTomorrow } from "../../domain/holds";

interface Props {
  opened: boolean;
  machine: Machine;
  onClose: () => void;
}

export function KeepAwakeDialog(props: Props) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title={`Keep ${props.machine.name} awake`}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Form {...props} />
    </Modal>
  );
}

const LENGTHS = [
  { value: "60", label: "1 hour" },
  { value: "240", label: "4 hours" },
  { value: "tomorrow", label: "Until tomorrow" },
  { value: "custom", label: "Custom" },
];

function Form({ machine, onClose }: Props) {
  const create = useCreateHold(machine.org, machine.name);
  const [reason, setReason] = useState("");
  const [length, setLength] = useState("60");
  const [custom, setCustom] = useState<number | string>(120);
  const minutes =
    length === "tomorrow" ? minutesUntilTomorrow(new Date()) : Number(length === "custom" ? custom : length);
  const refused =
    Number.isInteger(minutes) && minutes >= 1 && minutes <= HOLD_MINUTES_MAX
      ? null
      : `This is a number of minutes from 1 to ${HOLD_MINUTES_MAX}, a day.`;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (reason.trim() && !refused) {
          create.mutate({ reason: reason.trim(), minutes }, { onSuccess: onClose });
        }
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="What for"
          required
          data-autofocus
          maxLength={HOLD_REASON_MAX}
          placeholder="The nightly import"
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          error={fieldError(create.error, "reason")}
        />
        <SegmentedControl
          aria-label="For how long"
          fullWidth
          size="xs"
          data={LENGTHS}
          value={length}
          onChange={setLength}
        />
        {length === "custom" && (
          <NumberInput
            label="Minutes"
            value={custom}
            onChange={setCustom}
            allowDecimal={false}
            allowNegative={false}
            error={refused ?? fieldError(create.error, "minutes")}
          />
        )}
        <Text size="xs" c="dimmed">
          It does not go to sleep by itself until then. Hibernate and Stop still work.
          {machine.state !== "running" && " It is not woken by this."}
        </Text>
        <ProblemBox error={create.error} fields={["reason", "minutes"]} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!reason.trim() || !!refused}>
            Keep awake
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

// Adds somebody who has an account.
import { Button, Group, Modal, Radio, Stack, TextInput } from "@mantine/core";
import { useState } from "react";
import { useAddMember } from "../../api/members";
import type { Role } from "../../api/schema";
import { fieldError, notifyDone, ProblemBox } from "../../components/problem";
import { ROLE_MEANING, ROLES, rank } from "../../domain/roles";

interface Props {
  opened: boolean;
  org: string;
  role: Role | undefined;
  onClose: () => void;
}

export function AddMemberDialog(props: Props) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title="Add member"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Form {...props} />
    </Modal>
  );
}

function Form({ org, role, onClose }: Props) {
  const add = useAddMember(org);
  const [email, setEmail] = useState("");
  const [given, setGiven] = useState<Role>("member");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        add.mutate(
          { email, role: given },
          {
            onSuccess: (member) => {
              notifyDone(`${member.name} is a member now.`);
              onClose();
            },
          },
        );
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="E-mail"
          description="Of somebody who has signed up already."
          type="email"
          required
          data-autofocus
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
          error={fieldError(add.error, "email")}
        />
        <Radio.Group
          label="Role"
          value={given}
          onChange={(value) => setGiven(value as Role)}
          error={fieldError(add.error, "role")}
        >
          <Stack gap={8} mt={6}>
            {ROLES.map((one) => (
              <Radio
                key={one}
                size="xs"
                value={one}
                label={one}
                description={ROLE_MEANING[one]}
                disabled={role === undefined || rank(one) > rank(role)}
              />
            ))}
          </Stack>
        </Radio.Group>
        <ProblemBox error={add.error} fields={["email", "role"]} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={add.isPending} disabled={!email}>
            Add member
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

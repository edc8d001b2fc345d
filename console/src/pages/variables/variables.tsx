// The variables of a machine: what is in the environment of everything that is started in it.
import { ActionIcon, Alert, Group, Menu, Table, Text } from "@mantine/core";
import { IconDots, IconInfoCircle, IconLock, IconPencil, IconPlus, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Variable } from "../../api/schema";
import { useDeleteVariable, variablesQuery } from "../../api/variables";
import { ActionButton, ActionMenuItem } from "../../components/action-button";
import { ConfirmDialog } from "../../components/confirm-dialog";
import { CopyButton } from "../../components/copy-button";
import { Empty, LoadError, Loading, Section } from "../../components/page";
import { Since } from "../../components/since";
import { refuseRole } from "../../domain/roles";
import { useMachine } from "../machines/use-machine";
import { VariableDialog } from "./set-dialog";

export function Variables() {
  const { org, name, role, machine } = useMachine();
  const { data: variables, error, refetch } = useQuery(variablesQuery(org, name));
  const [setting, setSetting] = useState<Variable | "new" | null>(null);
  const [deleting, setDeleting] = useState<string | null>(null);
  // Something that is running keeps what it was started with.
  const [changed, setChanged] = useState(false);
  const remove = useDeleteVariable(org, name);
  const refused = refuseRole(role, "member");

  const add = (
    <ActionButton refused={refused} leftSection={<IconPlus size={15} />} onClick={() => setSetting("new")}>
      Add variables
    </ActionButton>
  );
  if (!variables) {
    return error ? <LoadError error={error} retry={refetch} /> : <Loading what="Loading variables" />;
  }
  const running = machine?.state === "running";
  return (
    <Section
      title="Variables"
      description="In the environment of every service, terminal and command. A service's own environment wins."
      actions={variables.length > 0 ? add : undefined}
    >
      {changed && running && (
        <Alert
          color="blue"
          variant="light"
          icon={<IconInfoCircle />}
          mb="sm"
          py="xs"
          withCloseButton
          closeButtonLabel="Close"
          onClose={() => setChanged(false)}
        >
          This takes effect at the next start: restart a service, or open a new terminal. What runs keeps what
          it was started with.
        </Alert>
      )}
      {variables.length === 0 ? (
        <Empty title="No variables yet" action={add}>
          Add the database's address, the token of an API, whatever programs in this machine need to know. A
          secret's value is encrypted, and nobody is shown it again.
        </Empty>
      ) : (
        <Table aria-label="Variables" layout="fixed">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Value</Table.Th>
              <Table.Th className="wide-only" w={210}>
                Set
              </Table.Th>
              <Table.Th w={44} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {variables.map((variable) => (
              <Table.Tr key={variable.name}>
                <Table.Td>
                  <Text size="sm" fw={550} className="code" truncate title={variable.name}>
                    {variable.name}
                  </Text>
                </Table.Td>
                <Table.Td>
                  <Value variable={variable} />
                </Table.Td>
                <Table.Td className="wide-only">
                  <Text size="sm" c="dimmed" truncate>
                    <Since at={variable.updated_at} />
                    {variable.updated_by && ` by ${variable.updated_by}`}
                  </Text>
                </Table.Td>
                <Table.Td>
                  <Menu width={170}>
                    <Menu.Target>
                      <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${variable.name}`}>
                        <IconDots size={16} />
                      </ActionIcon>
                    </Menu.Target>
                    <Menu.Dropdown>
                      <ActionMenuItem
                        icon={<IconPencil size={15} />}
                        refused={refused}
                        onClick={() => setSetting(variable)}
                      >
                        Set a new value
                      </ActionMenuItem>
                      <ActionMenuItem
                        icon={<IconTrash size={15} />}
                        color="red"
                        refused={refused}
                        onClick={() => setDeleting(variable.name)}
                      >
                        Delete…
                      </ActionMenuItem>
                    </Menu.Dropdown>
                  </Menu>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <VariableDialog
        opened={setting !== null && !refused}
        org={org}
        machine={name}
        variables={variables}
        variable={setting === "new" || setting === null ? undefined : setting}
        onDone={() => {
          setSetting(null);
          setChanged(true);
        }}
        onClose={() => setSetting(null)}
      />
      <ConfirmDialog
        opened={deleting !== null}
        title={`Delete the variable ${deleting}?`}
        confirm="Delete variable"
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() =>
          deleting &&
          remove.mutate(deleting, {
            onSuccess: () => {
              setDeleting(null);
              setChanged(true);
            },
          })
        }
        onClose={() => setDeleting(null)}
      >
        Programs that are started from then on do not have it. Its value cannot be brought back from here.
      </ConfirmDialog>
    </Section>
  );
}

function Value({ variable: { name, secret, value } }: { variable: Variable }) {
  if (secret) {
    return (
      <Group gap={4} wrap="nowrap" c="dimmed">
        <IconLock size={14} aria-hidden />
        <Text size="sm">Secret</Text>
      </Group>
    );
  }
  if (value == null) {
    return (
      <Text size="sm" c="dimmed">
        Not for viewers
      </Text>
    );
  }
  return (
    <Group gap={2} wrap="nowrap" miw={0}>
      <Text size="sm" className="code" truncate title={value}>
        {value === "" ? "(empty)" : value}
      </Text>
      <CopyButton text={value} label={`Copy the value of ${name}`} />
    </Group>
  );
}

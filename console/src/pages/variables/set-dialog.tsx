// Setting variables: one by name, or a whole .env file that is pasted, read here and shown before it is sent.
import {
  Alert,
  Button,
  Checkbox,
  Group,
  Modal,
  ScrollArea,
  SegmentedControl,
  Stack,
  Table,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useState } from "react";
import type { SetVariable, Variable } from "../../api/schema";
import { useSetVariables } from "../../api/variables";
import { fieldError, ProblemBox } from "../../components/problem";
import { parseDotenv } from "../../domain/dotenv";
import { refuseVariableName, refuseVariableValue, VARIABLES_MAX } from "../../domain/variables";

interface Props {
  opened: boolean;
  org: string;
  machine: string;
  variables: readonly Variable[];
  /** The one that gets a new value; new ones without it. */
  variable: Variable | undefined;
  onDone: () => void;
  onClose: () => void;
}

export function VariableDialog(props: Props) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title={props.variable ? `Set ${props.variable.name}` : "Add variables"}
      size="lg"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Forms {...props} key={props.variable?.name} />
    </Modal>
  );
}

function Forms(props: Props) {
  const [form, setForm] = useState("one");
  if (props.variable) {
    return <One {...props} />;
  }
  return (
    <Stack gap="sm">
      <SegmentedControl
        size="xs"
        aria-label="How to add them"
        value={form}
        onChange={setForm}
        data={[
          { value: "one", label: "One variable" },
          { value: "file", label: "Paste a .env file" },
        ]}
      />
      {form === "one" ? <One {...props} /> : <File {...props} />}
    </Stack>
  );
}

const SECRET = "Secret";
const SECRET_MEANING = "Encrypted, and never shown again: not here, not by the API.";

function One({ org, machine, variables, variable, onDone, onClose }: Props) {
  const set = useSetVariables(org, machine);
  const [name, setName] = useState(variable?.name ?? "");
  const [value, setValue] = useState(variable?.value ?? "");
  const [secret, setSecret] = useState(variable?.secret ?? true);
  const taken = !variable && variables.some((one) => one.name === name);
  const nameRefused = variable || name === "" ? null : refuseVariableName(name);
  const valueRefused = refuseVariableValue(value);
  const ready = name !== "" && !nameRefused && !valueRefused;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) {
          set.mutate([{ name, value, secret }], { onSuccess: onDone });
        }
      }}
    >
      <Stack gap="sm">
        {!variable && (
          <TextInput
            label="Name"
            required
            data-autofocus
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={nameRefused ?? fieldError(set.error, "name")}
            {...(taken ? { description: "It is set already: this replaces its value." } : {})}
            placeholder="DATABASE_URL"
            classNames={{ input: "code" }}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
        )}
        <Textarea
          label="Value"
          {...(variable ? { "data-autofocus": true } : {})}
          autosize
          minRows={2}
          maxRows={8}
          value={value}
          onChange={(event) => setValue(event.currentTarget.value)}
          error={valueRefused ?? fieldError(set.error, "value")}
          classNames={{ input: "code" }}
          autoComplete="off"
          spellCheck={false}
        />
        <Checkbox
          label={SECRET}
          description={SECRET_MEANING}
          checked={secret}
          onChange={(event) => setSecret(event.currentTarget.checked)}
        />
        <ProblemBox error={set.error} fields={["name", "value"]} />
        <Buttons label="Set variable" pending={set.isPending} ready={ready} onClose={onClose} />
      </Stack>
    </form>
  );
}

function File({ org, machine, variables, onDone, onClose }: Props) {
  const set = useSetVariables(org, machine);
  const [text, setText] = useState("");
  const [readable, setReadable] = useState<ReadonlySet<string>>(new Set());
  const { entries, mistakes } = parseDotenv(text);
  const tooMany = entries.length > VARIABLES_MAX;
  const ready = entries.length > 0 && mistakes.length === 0 && !tooMany;
  const toggle = (name: string) => {
    const next = new Set(readable);
    if (!next.delete(name)) {
      next.add(name);
    }
    setReadable(next);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) {
          const wanted: SetVariable[] = entries.map(({ name, value }) => ({
            name,
            value,
            secret: !readable.has(name),
          }));
          set.mutate(wanted, { onSuccess: onDone });
        }
      }}
    >
      <Stack gap="sm">
        <Textarea
          label="Contents of the file"
          description="NAME=value, one a line. Quotes and comments work; $NAME is not expanded."
          data-autofocus
          autosize
          minRows={5}
          maxRows={10}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          placeholder={'DATABASE_URL="postgres://…"\n# a comment\nAPI_TOKEN=…'}
          classNames={{ input: "code" }}
          autoComplete="off"
          spellCheck={false}
        />
        {mistakes.length > 0 && (
          <Alert color="yellow" variant="light" py={6} role="alert">
            {mistakes.slice(0, 5).map(({ line, error }) => (
              <Text size="sm" key={line}>
                Line {line}: {error}
              </Text>
            ))}
            {mistakes.length > 5 && <Text size="sm">…and {mistakes.length - 5} more.</Text>}
          </Alert>
        )}
        {tooMany && (
          <Alert color="yellow" variant="light" py={6} role="alert">
            A machine can have {VARIABLES_MAX} variables; these are {entries.length}.
          </Alert>
        )}
        {entries.length > 0 && (
          <ScrollArea.Autosize mah={240}>
            <Table aria-label="What will be set" layout="fixed">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Name</Table.Th>
                  <Table.Th>Value</Table.Th>
                  <Table.Th w={80}>{SECRET}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {entries.map(({ name, value }) => {
                  const secret = !readable.has(name);
                  return (
                    <Table.Tr key={name}>
                      <Table.Td>
                        <Text size="sm" className="code" truncate title={name}>
                          {name}
                        </Text>
                        {variables.some((one) => one.name === name) && (
                          <Text size="xs" c="dimmed">
                            replaces its value
                          </Text>
                        )}
                      </Table.Td>
                      <Table.Td>
                        <Text size="sm" className="code" truncate>
                          {secret ? `${[...value].length} characters` : value}
                        </Text>
                      </Table.Td>
                      <Table.Td>
                        <Checkbox
                          aria-label={`${name} is a secret`}
                          checked={secret}
                          onChange={() => toggle(name)}
                        />
                      </Table.Td>
                    </Table.Tr>
                  );
                })}
              </Table.Tbody>
            </Table>
          </ScrollArea.Autosize>
        )}
        <Text size="xs" c="dimmed">
          {SECRET}: {SECRET_MEANING}
        </Text>
        <ProblemBox error={set.error} />
        <Buttons
          label={entries.length > 1 ? `Set ${entries.length} variables` : "Set variables"}
          pending={set.isPending}
          ready={ready}
          onClose={onClose}
        />
      </Stack>
    </form>
  );
}

function Buttons({
  label,
  pending,
  ready,
  onClose,
}: {
  label: string;
  pending: boolean;
  ready: boolean;
  onClose: () => void;
}) {
  return (
    <Group justify="flex-end" gap="xs">
      <Button variant="default" onClick={onClose}>
        Cancel
      </Button>
      <Button type="submit" loading={pending} disabled={!ready}>
        {label}
      </Button>
    </Group>
  );
}

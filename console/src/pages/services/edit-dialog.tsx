// Defining a service, or changing one. People type a command line; the API gets a program and its arguments.
import { Alert, Button, Group, Modal, NumberInput, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { type ChangeEvent, type ComponentProps, useState } from "react";
import type { Service } from "../../api/schema";
import { usePutService } from "../../api/services";
import { fieldError, ProblemBox } from "../../components/problem";
import {
  formatCommandLine,
  formatEnvironment,
  needsShell,
  parseCommandLine,
  parseEnvironment,
} from "../../domain/command-line";
import { refusePort, refuseServiceName } from "../../domain/names";
import { refuseSupervision, SupervisionFields, supervisionBody, supervisionOf } from "./supervision-fields";

const FIELDS = [
  "name",
  "command",
  "directory",
  "environment",
  "http_port",
  "needs",
  "ready",
  "stop_grace_seconds",
] as const;

interface Props {
  opened: boolean;
  org: string;
  machine: string;
  services: readonly Service[];
  /** The one to change; a new one without it. */
  service: Service | undefined;
  onClose: () => void;
}

export function ServiceDialog(props: Props) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title={props.service ? `Edit ${props.service.name}` : "Define service"}
      size="lg"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Form {...props} key={props.service?.name} />
    </Modal>
  );
}

function Form({ org, machine, services, service, onClose }: Props) {
  const put = usePutService(org, machine);
  const [name, setName] = useState(service?.name ?? "");
  const [line, setLine] = useState(service ? formatCommandLine(service.command, service.args ?? []) : "");
  const [directory, setDirectory] = useState(service?.directory ?? "");
  const [variables, setVariables] = useState(formatEnvironment(service?.environment ?? {}));
  const [port, setPort] = useState<number | string>(service?.http_port ?? "");
  const [supervision, setSupervision] = useState(() => supervisionOf(service));
  // A field of one line would take the line ends out of a script.
  const [LineField] = useState(() => (line.includes("\n") ? ScriptLine : TextInput));

  const command = parseCommandLine(line);
  const environment = parseEnvironment(variables);
  const taken =
    !service && services.some((one) => one.name === name) ? "There is such a service already." : null;
  const nameRefused = service || name === "" ? null : (refuseServiceName(name) ?? taken);
  const lineRefused = line !== "" && "error" in command ? command.error : null;
  const environmentRefused = "error" in environment ? environment.error : null;
  const portRefused = port === "" ? null : refusePort(Number(port));
  const supervised = Object.keys(refuseSupervision(supervision, port)).length === 0;
  const ready =
    name !== "" && !nameRefused && "command" in command && !environmentRefused && !portRefused && supervised;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready && "environment" in environment) {
          put.mutate(
            {
              service: name,
              body: {
                ...command,
                directory: directory.trim() || null,
                environment: environment.environment,
                http_port: port === "" ? null : Number(port),
                ...supervisionBody(supervision, service),
                desired: service?.desired ?? "up",
              },
            },
            { onSuccess: onClose },
          );
        }
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Name"
          required
          {...(service ? { disabled: true } : { "data-autofocus": true })}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={nameRefused ?? fieldError(put.error, "name")}
          placeholder="web"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        <LineField
          label="Command line"
          required
          description="Started directly, without a shell: quotes work, variables and pipes do not."
          {...(service ? { "data-autofocus": true } : {})}
          value={line}
          onChange={(event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) =>
            setLine(event.currentTarget.value)
          }
          error={lineRefused ?? fieldError(put.error, "command")}
          placeholder="python3 -m http.server 3000"
          classNames={{ input: "code" }}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        {needsShell(line) && (
          <Alert color="yellow" variant="light" py={6}>
            <Group gap="xs">
              <Text size="sm">This looks like something for a shell.</Text>
              <Button
                size="compact-xs"
                variant="default"
                onClick={() => setLine(formatCommandLine("sh", ["-c", line]))}
              >
                Put it in sh -c
              </Button>
            </Group>
          </Alert>
        )}
        <TextInput
          label="Directory"
          description="Where it starts; the home directory when empty."
          value={directory}
          onChange={(event) => setDirectory(event.currentTarget.value)}
          error={fieldError(put.error, "directory")}
          classNames={{ input: "code" }}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        <Textarea
          label="Environment"
          description="NAME=value, one a line."
          autosize
          minRows={2}
          maxRows={8}
          value={variables}
          onChange={(event) => setVariables(event.currentTarget.value)}
          error={environmentRefused ?? fieldError(put.error, "environment")}
          classNames={{ input: "code" }}
          spellCheck={false}
        />
        <NumberInput
          label="HTTP port"
          description="Where it serves HTTP, if it does. The port gets a URL."
          value={port}
          onChange={setPort}
          allowDecimal={false}
          allowNegative={false}
          hideControls
          error={portRefused ?? fieldError(put.error, "http_port")}
        />
        <SupervisionFields
          value={supervision}
          onChange={setSupervision}
          name={name}
          httpPort={port}
          services={services}
          error={put.error}
        />
        <ProblemBox error={put.error} fields={FIELDS} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={put.isPending} disabled={!ready}>
            {service ? "Save" : "Define and start"}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function ScriptLine(props: ComponentProps<typeof Textarea>) {
  return <Textarea autosize minRows={3} maxRows={16} {...props} />;
}

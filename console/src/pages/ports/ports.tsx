// Ports of a machine: any of them can be opened, some have names.
import { Anchor, Button, Group, NumberInput, Stack, Table, Text, TextInput } from "@mantine/core";
import { IconExternalLink, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { deploymentQuery } from "../../api/deployment";
import { portsQuery, useDeletePort, usePutPort } from "../../api/ports";
import { ActionIconButton } from "../../components/action-button";
import { CopyButton } from "../../components/copy-button";
import { Empty, LoadError, Loading, Section } from "../../components/page";
import { fieldError, notifyProblem, ProblemBox } from "../../components/problem";
import { appUrl } from "../../domain/app-url";
import { refusePort } from "../../domain/names";
import { refuseRole } from "../../domain/roles";
import { useMachine } from "../machines/use-machine";

export function Ports() {
  return (
    <Stack gap="xl">
      <OpenPort />
      <NamedPorts />
    </Stack>
  );
}

function OpenPort() {
  const { org, name, machine } = useMachine();
  const { data: deployment } = useQuery(deploymentQuery);
  const [port, setPort] = useState<number | string>("");
  const refused = port === "" ? null : refusePort(Number(port));
  const url = deployment && port !== "" && !refused ? appUrl(deployment.apps, org, name, Number(port)) : null;
  return (
    <Section
      title="Open a port"
      description={`Whatever listens on a port of the machine has a URL, for members only. Without a number it is port ${machine?.app_port ?? 3000}.`}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (url) {
            window.open(url, "_blank", "noopener,noreferrer");
          }
        }}
      >
        <Group gap="sm" align="flex-start">
          <NumberInput
            aria-label="Port to open"
            placeholder="3000"
            w={110}
            hideControls
            allowDecimal={false}
            allowNegative={false}
            value={port}
            onChange={setPort}
            error={!!refused}
          />
          {url ? (
            <Group gap={4} wrap="nowrap" h={36} miw={0}>
              <Anchor href={url} target="_blank" rel="noreferrer" className="code">
                {url}
              </Anchor>
              <CopyButton text={url} label="Copy the URL" />
            </Group>
          ) : (
            <Text size="sm" c={refused ? "red" : "dimmed"} lh="36px">
              {refused ?? "Type a number to get its URL; Enter opens it."}
            </Text>
          )}
        </Group>
      </form>
    </Section>
  );
}

function NamedPorts() {
  const { org, name, role } = useMachine();
  const { data: ports, error, refetch } = useQuery(portsQuery(org, name));
  const put = usePutPort(org, name);
  const remove = useDeletePort(org, name);
  const [port, setPort] = useState<number | string>("");
  const [label, setLabel] = useState("");
  const refused = refuseRole(role, "member");
  const portRefused = port === "" ? null : refusePort(Number(port));
  if (!ports) {
    return error ? <LoadError error={error} retry={refetch} /> : <Loading what="Loading ports" />;
  }
  return (
    <Section title="Named ports" description="Names for people, so that others find what is running.">
      {ports.length > 0 ? (
        <Table aria-label="Named ports">
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={80}>Port</Table.Th>
              <Table.Th>Name</Table.Th>
              <Table.Th className="wide-only">URL</Table.Th>
              <Table.Th w={80} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {ports.map((one) => (
              <Table.Tr key={one.port}>
                <Table.Td>{one.port}</Table.Td>
                <Table.Td>
                  <Anchor href={one.url} target="_blank" rel="noreferrer" size="sm">
                    {one.label} <IconExternalLink size={13} aria-hidden style={{ verticalAlign: -2 }} />
                  </Anchor>
                </Table.Td>
                <Table.Td className="wide-only code">{one.url}</Table.Td>
                <Table.Td>
                  <Group gap={2} wrap="nowrap" justify="flex-end">
                    <CopyButton text={one.url} label={`Copy the URL of ${one.label}`} />
                    <ActionIconButton
                      label={`Remove the name ${one.label}`}
                      refused={refused}
                      loading={remove.isPending && remove.variables === one.port}
                      onClick={() => remove.mutate(one.port, { onError: notifyProblem })}
                    >
                      <IconTrash size={15} />
                    </ActionIconButton>
                  </Group>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      ) : (
        <Empty title="No named ports">
          {refused
            ? "Nobody has named a port of this machine."
            : "Give a port a name below, such as 3000: the website."}
        </Empty>
      )}
      {!refused && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (port === "" || portRefused || !label.trim()) {
              return;
            }
            put.mutate(
              { port: Number(port), label: label.trim() },
              {
                onSuccess: () => {
                  setPort("");
                  setLabel("");
                },
              },
            );
          }}
        >
          <Stack gap="xs" mt="md">
            <Group gap="sm" align="flex-start">
              <NumberInput
                size="xs"
                aria-label="Port to name"
                placeholder="Port"
                w={90}
                hideControls
                allowDecimal={false}
                allowNegative={false}
                value={port}
                onChange={setPort}
                error={portRefused ? true : fieldError(put.error, "port")}
              />
              <TextInput
                size="xs"
                aria-label="Name of the port"
                placeholder="Name"
                w={220}
                maxLength={60}
                value={label}
                onChange={(event) => setLabel(event.currentTarget.value)}
                error={fieldError(put.error, "label")}
              />
              <Button
                type="submit"
                variant="default"
                loading={put.isPending}
                disabled={port === "" || !!portRefused || !label.trim()}
              >
                Name port
              </Button>
            </Group>
            {portRefused && (
              <Text size="xs" c="red">
                {portRefused}
              </Text>
            )}
            <ProblemBox error={put.error} fields={["port", "label"]} />
          </Stack>
        </form>
      )}
    </Section>
  );
}

// Own API tokens.
import { Badge, Button, Group, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Token } from "../../api/schema";
import { tokensQuery, useRevokeToken } from "../../api/tokens";
import { ConfirmDialog } from "../../components/confirm-dialog";
import { Empty, LoadError, Loading, Section } from "../../components/page";
import { Since } from "../../components/since";
import { CreateTokenDialog } from "./create-dialog";

export function Tokens() {
  const { data: tokens, error, refetch } = useQuery(tokensQuery);
  const [opened, { open, close }] = useDisclosure();
  const [revoking, setRevoking] = useState<Token | null>(null);
  const revoke = useRevokeToken();
  const create = (
    <Button leftSection={<IconPlus size={15} />} onClick={open}>
      Create token
    </Button>
  );
  return (
    <Section
      title="API tokens"
      description="For programs that use the HTTP API in your name. A token never may more than you."
      actions={tokens && tokens.length > 0 ? create : undefined}
    >
      {!tokens ? (
        error ? (
          <LoadError error={error} retry={refetch} />
        ) : (
          <Loading what="Loading tokens" />
        )
      ) : tokens.length === 0 ? (
        <Empty title="No API tokens" action={create}>
          Create one to use the HTTP API from a script or from CI.
        </Empty>
      ) : (
        <Table aria-label="API tokens">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Scope</Table.Th>
              <Table.Th className="wide-only">Secret</Table.Th>
              <Table.Th className="wide-only">Last used</Table.Th>
              <Table.Th>Expires</Table.Th>
              <Table.Th w={90} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {tokens.map((token) => (
              <Table.Tr key={token.id}>
                <Table.Td>
                  <Text size="sm" fw={500}>
                    {token.name}
                  </Text>
                </Table.Td>
                <Table.Td>
                  <Badge
                    size="sm"
                    radius="sm"
                    miw="max-content"
                    variant="light"
                    color={token.scope === "write" ? "orange" : "gray"}
                  >
                    {token.scope}
                  </Badge>
                </Table.Td>
                <Table.Td className="wide-only">
                  <Text span size="sm" className="code" c="dimmed">
                    snap_pat_…{token.last_four}
                  </Text>
                </Table.Td>
                <Table.Td className="wide-only">
                  {token.last_seen_at ? <Since at={token.last_seen_at} /> : "never"}
                </Table.Td>
                <Table.Td>
                  <Since at={token.expires_at} />
                </Table.Td>
                <Table.Td>
                  <Group justify="flex-end">
                    <Button
                      variant="subtle"
                      color="red"
                      aria-label={`Revoke ${token.name}`}
                      onClick={() => setRevoking(token)}
                    >
                      Revoke
                    </Button>
                  </Group>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <CreateTokenDialog opened={opened} onClose={close} />
      <ConfirmDialog
        opened={revoking !== null}
        title={`Revoke ${revoking?.name}?`}
        confirm="Revoke token"
        pending={revoke.isPending}
        error={revoke.error}
        onConfirm={() => revoking && revoke.mutate(revoking.id, { onSuccess: () => setRevoking(null) })}
        onClose={() => setRevoking(null)}
      >
        Programs that use it are refused at once. It cannot be brought back.
      </ConfirmDialog>
    </Section>
  );
}

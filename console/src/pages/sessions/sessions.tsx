// Own browser sessions.
import { Badge, Button, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { sessionsQuery, useRevokeSession } from "../../api/sessions";
import { LoadError, Loading, Section } from "../../components/page";
import { notifyProblem } from "../../components/problem";
import { Since } from "../../components/since";
import { describeBrowser } from "../../domain/browser";

export function Sessions() {
  const { data: sessions, error, refetch } = useQuery(sessionsQuery);
  const revoke = useRevokeSession();
  return (
    <Section title="Browser sessions" description="Where you are signed in. Revoke what you do not know.">
      {!sessions ? (
        error ? (
          <LoadError error={error} retry={refetch} />
        ) : (
          <Loading what="Loading sessions" />
        )
      ) : (
        <Table aria-label="Browser sessions">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Browser</Table.Th>
              <Table.Th className="wide-only">Address</Table.Th>
              <Table.Th>Last seen</Table.Th>
              <Table.Th className="wide-only">Expires</Table.Th>
              <Table.Th w={90} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sessions.map((session) => (
              <Table.Tr key={session.id}>
                <Table.Td>
                  <Text span size="sm" title={session.user_agent ?? undefined}>
                    {describeBrowser(session.user_agent)}
                  </Text>{" "}
                  {session.current && (
                    <Badge size="xs" variant="light" radius="sm">
                      this one
                    </Badge>
                  )}
                </Table.Td>
                <Table.Td className="wide-only">{session.address ?? "–"}</Table.Td>
                <Table.Td>
                  <Since at={session.last_seen_at} />
                </Table.Td>
                <Table.Td className="wide-only">
                  <Since at={session.expires_at} />
                </Table.Td>
                <Table.Td ta="right">
                  {!session.current && (
                    <Button
                      variant="subtle"
                      color="red"
                      loading={revoke.isPending && revoke.variables === session.id}
                      onClick={() => revoke.mutate(session.id, { onError: notifyProblem })}
                    >
                      Revoke
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Section>
  );
}

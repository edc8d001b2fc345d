// What was done in an organization, and what was refused. For admins.
import { Badge, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { AUDIT_LIMIT, auditQuery } from "../../api/audit";
import { Empty, LoadError, Loading, Page } from "../../components/page";
import { Since } from "../../components/since";
import { refuseRole } from "../../domain/roles";
import { useOrg } from "../orgs/use-org";

export function Audit() {
  const { slug: org, role } = useOrg();
  const refused = refuseRole(role, "admin");
  const { data: entries, error, refetch } = useQuery({ ...auditQuery(org), enabled: !refused });
  return (
    <Page title="Audit log">
      {refused ? (
        <Empty title="The audit log is for admins">{refused}</Empty>
      ) : !entries ? (
        error ? (
          <LoadError error={error} retry={refetch} />
        ) : (
          <Loading what="Loading the audit log" />
        )
      ) : entries.length === 0 ? (
        <Empty title="Nothing yet">What members do, and what they are refused, is written down here.</Empty>
      ) : (
        <>
          <Table.ScrollContainer minWidth={820} type="native">
            <Table aria-label="Audit log">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>When</Table.Th>
                  <Table.Th>Who</Table.Th>
                  <Table.Th>What</Table.Th>
                  <Table.Th>On</Table.Th>
                  <Table.Th>Result</Table.Th>
                  <Table.Th>From</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {entries.map((entry) => (
                  <Table.Tr key={entry.id}>
                    <Table.Td>
                      <Since at={entry.at} />
                    </Table.Td>
                    <Table.Td>
                      {entry.actor ?? "–"}{" "}
                      {entry.credential !== "session" && (
                        <Text span size="xs" c="dimmed">
                          ({entry.credential})
                        </Text>
                      )}
                    </Table.Td>
                    <Table.Td className="code nowrap">{entry.operation}</Table.Td>
                    <Table.Td className="code">{entry.target}</Table.Td>
                    <Table.Td>
                      <Badge
                        size="sm"
                        radius="sm"
                        variant="light"
                        color={entry.status < 400 ? "teal" : entry.status < 500 ? "orange" : "red"}
                      >
                        {entry.status}
                      </Badge>
                    </Table.Td>
                    <Table.Td className="nowrap">{entry.address ?? "–"}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          {entries.length === AUDIT_LIMIT && (
            <Text size="xs" c="dimmed" mt="sm">
              The last {AUDIT_LIMIT} entries are shown.
            </Text>
          )}
        </>
      )}
    </Page>
  );
}

// Who belongs to an organization, with which role.
import { Button, Select, Table, Text, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconUserPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { membersQuery, useChangeRole, useRemoveMember } from "../../api/members";
import type { Member, Role } from "../../api/schema";
import { ActionButton } from "../../components/action-button";
import { ConfirmDialog } from "../../components/confirm-dialog";
import { LoadError, Loading, Page } from "../../components/page";
import { notifyDone, notifyProblem } from "../../components/problem";
import { ROLES, rank, refuseRole } from "../../domain/roles";
import { dayOf } from "../../domain/time";
import { useOrg } from "../orgs/use-org";
import { AddMemberDialog } from "./add-dialog";

export function Members() {
  const { slug: org, role, account } = useOrg();
  const { data: members, error, refetch } = useQuery(membersQuery(org));
  const [opened, { open, close }] = useDisclosure();
  const [leaving, setLeaving] = useState<Member | null>(null);
  const remove = useRemoveMember(org);
  const navigate = useNavigate();
  const isSelf = leaving?.account_id === account?.id;
  return (
    <Page
      title="Members"
      actions={
        <ActionButton
          refused={refuseRole(role, "admin")}
          leftSection={<IconUserPlus size={15} />}
          onClick={open}
        >
          Add member
        </ActionButton>
      }
    >
      {members && role ? (
        <Table aria-label="Members">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th className="wide-only">E-mail</Table.Th>
              <Table.Th w={150}>Role</Table.Th>
              <Table.Th className="wide-only">Since</Table.Th>
              <Table.Th w={100} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {members.map((member) => (
              <Row
                key={member.account_id}
                member={member}
                org={org}
                role={role}
                isSelf={member.account_id === account?.id}
                onRemove={() => setLeaving(member)}
              />
            ))}
          </Table.Tbody>
        </Table>
      ) : error ? (
        <LoadError error={error} retry={refetch} />
      ) : (
        <Loading what="Loading members" />
      )}
      <AddMemberDialog opened={opened} org={org} role={role} onClose={close} />
      <ConfirmDialog
        opened={leaving !== null}
        title={isSelf ? `Leave ${org}?` : `Remove ${leaving?.name}?`}
        confirm={isSelf ? "Leave" : "Remove member"}
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() => {
          if (leaving) {
            remove.mutate(leaving.account_id, {
              onSuccess: () => {
                notifyDone(isSelf ? `You left ${org}.` : `${leaving.name} was removed.`);
                setLeaving(null);
                if (isSelf) {
                  void navigate({ to: "/" });
                }
              },
            });
          }
        }}
        onClose={() => {
          setLeaving(null);
          remove.reset();
        }}
      >
        {isSelf ? "You lose" : `${leaving?.name} (${leaving?.email}) loses`} access to the organization's
        machines at once. The machines stay.
      </ConfirmDialog>
    </Page>
  );
}

function Row({
  member,
  org,
  role,
  isSelf,
  onRemove,
}: {
  member: Member;
  org: string;
  role: Role;
  isSelf: boolean;
  onRemove: () => void;
}) {
  const change = useChangeRole(org);
  const above = rank(member.role) > rank(role) ? "You cannot change somebody above your own role." : null;
  const refused = refuseRole(role, "admin") ?? above;
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={500}>
          {member.name}{" "}
          {isSelf && (
            <Text span size="sm" c="dimmed" fw={400}>
              (you)
            </Text>
          )}
        </Text>
        <Text size="xs" c="dimmed" className="phone-only" style={{ overflowWrap: "anywhere" }}>
          {member.email}
        </Text>
      </Table.Td>
      <Table.Td className="wide-only">{member.email}</Table.Td>
      <Table.Td>
        <Tooltip label={refused} disabled={!refused}>
          <div>
            <Select
              size="xs"
              aria-label={`Role of ${member.name}`}
              data={ROLES.map((one) => ({ value: one, label: one, disabled: rank(one) > rank(role) }))}
              value={change.isPending ? change.variables.role : member.role}
              onChange={(value) =>
                value &&
                value !== member.role &&
                change.mutate({ account: member.account_id, role: value as Role }, { onError: notifyProblem })
              }
              allowDeselect={false}
              disabled={!!refused || change.isPending}
            />
          </div>
        </Tooltip>
      </Table.Td>
      <Table.Td className="wide-only">{dayOf(member.created_at)}</Table.Td>
      <Table.Td ta="right">
        {isSelf ? (
          <Button variant="subtle" color="gray" onClick={onRemove}>
            Leave
          </Button>
        ) : (
          <ActionButton
            variant="subtle"
            color="red"
            refused={refused}
            aria-label={`Remove ${member.name}`}
            onClick={onRemove}
          >
            Remove
          </ActionButton>
        )}
      </Table.Td>
    </Table.Tr>
  );
}

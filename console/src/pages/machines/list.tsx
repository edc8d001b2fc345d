// The machines of an organization.
import { Button, Kbd, Table, Text, TextInput } from "@mantine/core";
import { IconPlus, IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useRef } from "react";
import { deploymentQuery } from "../../api/deployment";
import { machinesQuery } from "../../api/machines";
import { ActionButton } from "../../components/action-button";
import { Empty, LoadError, Loading, Page } from "../../components/page";
import { useKey } from "../../components/use-key";
import { refuseRole } from "../../domain/roles";
import { useOrg } from "../orgs/use-org";
import { CreateMachineDialog } from "./create-dialog";
import { MachineRow } from "./row";

const route = getRouteApi("/signed-in/orgs/$org/machines");
/** Above this many, a list is searched rather than read. */
const SEARCH_FROM = 8;

export function MachineList() {
  const { slug: org, role } = useOrg();
  const { create, find = "" } = route.useSearch();
  const navigate = useNavigate({ from: "/orgs/$org/machines" });
  const { data: machines, error, refetch } = useQuery(machinesQuery(org));
  const { data: deployment } = useQuery(deploymentQuery);
  const body = useRef<HTMLTableSectionElement>(null);
  const refused = refuseRole(role, "member");

  const openCreate = () => navigate({ search: (old) => ({ ...old, create: true }) });
  const closeCreate = () => navigate({ search: ({ create: _, ...rest }) => rest, replace: true });
  useKey("c", () => {
    if (!refused) {
      void openCreate();
    }
  });

  const focusRow = (step: 1 | -1) => {
    const links = [...(body.current?.querySelectorAll<HTMLElement>("[data-row-link]") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLElement);
    links[at < 0 ? (step === 1 ? 0 : links.length - 1) : at + step]?.focus();
  };
  useKey("ArrowDown", () => focusRow(1));
  useKey("ArrowUp", () => focusRow(-1));

  const shown = machines?.filter(({ name }) => name.includes(find.trim().toLowerCase()));
  const createButton = (
    <ActionButton refused={refused} leftSection={<IconPlus size={15} />} onClick={openCreate}>
      Create machine
    </ActionButton>
  );
  return (
    <Page
      title="Machines"
      actions={
        <>
          {(machines?.length ?? 0) >= SEARCH_FROM && (
            <TextInput
              size="xs"
              aria-label="Find a machine"
              placeholder="Find"
              leftSection={<IconSearch size={14} />}
              value={find}
              onChange={(event) => {
                const text = event.currentTarget.value;
                void navigate({
                  search: ({ find: _, ...rest }) => (text ? { ...rest, find: text } : rest),
                  replace: true,
                });
              }}
            />
          )}
          {machines?.length !== 0 && createButton}
        </>
      }
    >
      {shown ? (
        shown.length > 0 ? (
          <Table.ScrollContainer minWidth={0} type="native">
            <Table highlightOnHover aria-label="Machines">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Name</Table.Th>
                  <Table.Th>State</Table.Th>
                  <Table.Th className="wide-only">Since</Table.Th>
                  <Table.Th className="wide-only">Size</Table.Th>
                  <Table.Th className="wide-only">Region</Table.Th>
                  <Table.Th className="wide-only">Owner</Table.Th>
                  <Table.Th w={84} aria-label="Actions" />
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody ref={body}>
                {shown.map((machine) => (
                  <MachineRow key={machine.id} machine={machine} offer={deployment?.offer} role={role} />
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        ) : machines?.length ? (
          <Empty
            title="No machine has such a name"
            action={
              <Button variant="default" onClick={() => navigate({ search: {}, replace: true })}>
                Show all
              </Button>
            }
          >
            {machines.length} machines are in this organization.
          </Empty>
        ) : (
          <Empty title="No machines yet" action={createButton}>
            A machine keeps its files, packages and services. It sleeps when nobody uses it and wakes when
            somebody opens a terminal or its URL.{" "}
            {!refused && (
              <span className="wide-only">
                Press <Kbd size="xs">c</Kbd> to create the first one.
              </span>
            )}
          </Empty>
        )
      ) : error ? (
        <LoadError error={error} retry={refetch} />
      ) : (
        <Loading what="Loading machines" />
      )}
      {machines && machines.length > 0 && (
        <Text size="xs" c="dimmed" mt="sm" className="wide-only">
          <Kbd size="xs">c</Kbd> create · <Kbd size="xs">↑</Kbd> <Kbd size="xs">↓</Kbd>{" "}
          <Kbd size="xs">Enter</Kbd> open · <Kbd size="xs">?</Kbd> all shortcuts
        </Text>
      )}
      <CreateMachineDialog
        opened={create === true && !refused}
        org={org}
        machines={machines ?? []}
        onClose={closeCreate}
      />
    </Page>
  );
}

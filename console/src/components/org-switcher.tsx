// The organization that pages are about, and the way to another or a new one.
import { Button, Menu, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconCheck, IconPlus, IconSelector } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import type { Account } from "../api/schema";
import { CreateOrgDialog } from "../pages/orgs/create-dialog";

export function OrgSwitcher({ account, org }: { account: Account; org: string | undefined }) {
  const [opened, { open, close }] = useDisclosure();
  const current = account.orgs.find(({ slug }) => slug === org);
  return (
    <>
      <Menu position="bottom-start" width={260}>
        <Menu.Target>
          <Button
            variant="subtle"
            color="gray"
            px={8}
            rightSection={<IconSelector size={14} />}
            aria-label={`Organization: ${current?.slug ?? "none"}`}
            styles={{ inner: { maxWidth: 180 } }}
          >
            <Text span size="sm" fw={600} truncate c="var(--mantine-color-text)">
              {current?.slug ?? "Organization"}
            </Text>
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Organizations</Menu.Label>
          {account.orgs.map(({ slug, name, role }) => (
            <Menu.Item
              key={slug}
              rightSection={slug === org ? <IconCheck size={14} aria-label="current" /> : null}
              renderRoot={(props) => <Link to="/orgs/$org/machines" params={{ org: slug }} {...props} />}
            >
              <Text size="sm" fw={500} truncate>
                {slug}
              </Text>
              <Text size="xs" c="dimmed" truncate>
                {name} · {role}
              </Text>
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<IconPlus size={14} />} onClick={open}>
            New organization
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <CreateOrgDialog opened={opened} onClose={close} />
    </>
  );
}

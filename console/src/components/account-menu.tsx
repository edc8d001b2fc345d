// Who is signed in, and the way out.
import { ActionIcon, Menu, Text } from "@mantine/core";
import { IconLogout, IconUserCircle } from "@tabler/icons-react";
import { Link, useNavigate } from "@tanstack/react-router";
import { useSignOut } from "../api/accounts";
import type { Account } from "../api/schema";
import { notifyProblem } from "./problem";

export function AccountMenu({ account }: { account: Account }) {
  const signOut = useSignOut();
  const navigate = useNavigate();
  return (
    <Menu width={220}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label="Account" loading={signOut.isPending}>
          <IconUserCircle size={19} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Text size="sm" fw={600} c="var(--mantine-color-text)" truncate>
            {account.name}
          </Text>
          <Text size="xs" truncate>
            {account.email}
          </Text>
        </Menu.Label>
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconUserCircle size={15} />}
          renderRoot={(props) => <Link to="/account" {...props} />}
        >
          Account and tokens
        </Menu.Item>
        <Menu.Item
          leftSection={<IconLogout size={15} />}
          onClick={() =>
            signOut.mutate(undefined, {
              onSuccess: () => navigate({ to: "/signin" }),
              onError: notifyProblem,
            })
          }
        >
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

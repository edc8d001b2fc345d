// The own account: API tokens and browser sessions.
import { Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { accountQuery } from "../../api/accounts";
import { Page } from "../../components/page";
import { Sessions } from "../sessions/sessions";
import { Tokens } from "../tokens/tokens";

export function AccountPage() {
  const { data: account } = useQuery(accountQuery);
  return (
    <Page title="Account">
      <Text size="sm" c="dimmed" mt={-12} mb="lg">
        {account?.name} · {account?.email}
      </Text>
      <Stack gap={36}>
        <Tokens />
        <Sessions />
      </Stack>
    </Page>
  );
}

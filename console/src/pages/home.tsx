// The start page: the machines of the first organization.
import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Navigate } from "@tanstack/react-router";
import { accountQuery } from "../api/accounts";
import { Empty, Page } from "../components/page";
import { CreateOrgDialog } from "./orgs/create-dialog";

export function Home() {
  const { data: account } = useQuery(accountQuery);
  const [opened, { open, close }] = useDisclosure();
  const org = account?.orgs[0]?.slug;
  if (org) {
    return <Navigate to="/orgs/$org/machines" params={{ org }} replace />;
  }
  return (
    <Page title="Welcome">
      <Empty title="You belong to no organization" action={<Button onClick={open}>New organization</Button>}>
        Machines belong to organizations. Make one, or ask somebody to add you to theirs.
      </Empty>
      <CreateOrgDialog opened={opened} onClose={close} />
    </Page>
  );
}

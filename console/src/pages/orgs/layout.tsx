// Pages of one organization: shown to its members only.
import { useQuery } from "@tanstack/react-query";
import { Outlet } from "@tanstack/react-router";
import { accountQuery } from "../../api/accounts";
import { Loading } from "../../components/page";
import { useFeed } from "../../feed/use-feed";
import { NotFound } from "../errors";
import { useOrg } from "./use-org";

export function OrgLayout() {
  const { slug, role } = useOrg();
  const { isFetching } = useQuery(accountQuery);
  if (role) {
    return (
      <>
        <Follow key={slug} org={slug} />
        <Outlet />
      </>
    );
  }
  // Somebody may have been added a moment ago.
  return isFetching ? <Loading /> : <NotFound what={`There is no organization ${slug} here.`} />;
}

/** All pages of an organization share its feed. */
function Follow({ org }: { org: string }) {
  useFeed(org);
  return null;
}

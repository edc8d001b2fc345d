// Pages of one organization: shown to its members only.
import { useQuery } from "@tanstack/react-query";
import { Outlet } from "@tanstack/react-router";
import { accountQuery } from "../../api/accounts";
import { Loading } from "../../components/page";
import { NotFound } from "../errors";
import { useOrg } from "./use-org";

export function OrgLayout() {
  const { slug, role } = useOrg();
  const { isFetching } = useQuery(accountQuery);
  if (role) {
    return <Outlet />;
  }
  // Somebody may have been added a moment ago.
  return isFetching ? <Loading /> : <NotFound what={`There is no organization ${slug} here.`} />;
}

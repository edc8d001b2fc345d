// The organization of the address, and the caller's role in it.
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { accountQuery } from "../../api/accounts";
import type { Account, Role } from "../../api/schema";

export function useOrg(): { slug: string; role: Role | undefined; account: Account | null | undefined } {
  const { org: slug = "" } = useParams({ strict: false });
  const { data: account } = useQuery(accountQuery);
  return { slug, role: account?.orgs.find((org) => org.slug === slug)?.role, account };
}

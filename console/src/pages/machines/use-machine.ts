// The machine of the address.
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { machineQuery } from "../../api/machines";
import { useOrg } from "../orgs/use-org";

export function useMachine() {
  const { slug: org, role, account } = useOrg();
  const { machine: name = "" } = useParams({ strict: false });
  const query = useQuery(machineQuery(org, name));
  return { org, role, account, name, machine: query.data, query };
}

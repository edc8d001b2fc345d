// What happened to all machines of an organization.
import { Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { machinesQuery } from "../../api/machines";
import { Page } from "../../components/page";
import { EventTimeline, KindSelect } from "../../components/timeline";
import { useOrg } from "../orgs/use-org";

const route = getRouteApi("/signed-in/orgs/$org/activity");

export function OrgActivity() {
  const { slug: org } = useOrg();
  const filter = route.useSearch();
  const navigate = route.useNavigate();
  const { data: machines } = useQuery(machinesQuery(org));
  const choose = (chosen: typeof filter) =>
    navigate({
      search: Object.fromEntries(Object.entries(chosen).filter(([, value]) => value)),
      replace: true,
    });
  return (
    <Page
      title="Activity"
      actions={
        <>
          <Select
            size="xs"
            flex="1 1 9rem"
            maw={220}
            aria-label="Machine"
            placeholder="All machines"
            clearable
            searchable
            data={machines?.map(({ name }) => name) ?? []}
            value={filter.machine ?? null}
            onChange={(machine) => choose({ ...filter, machine: machine ?? undefined })}
          />
          <KindSelect kind={filter.kind} onChange={(kind) => choose({ ...filter, kind })} />
        </>
      }
    >
      <EventTimeline org={org} filter={filter} />
    </Page>
  );
}

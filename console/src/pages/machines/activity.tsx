// What happened to a machine.
import { Group } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { EventTimeline, KindSelect } from "../../components/timeline";
import { useMachine } from "./use-machine";

const route = getRouteApi("/signed-in/orgs/$org/machines/$machine/activity");

export function Activity() {
  const { org, name } = useMachine();
  const { kind } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <Group mb="md">
        <KindSelect
          kind={kind}
          onChange={(chosen) => navigate({ search: chosen ? { kind: chosen } : {}, replace: true })}
        />
      </Group>
      <EventTimeline org={org} filter={{ machine: name, kind }} />
    </>
  );
}

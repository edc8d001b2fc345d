// What happened to the machines of an organization, newest first.
import { infiniteQueryOptions } from "@tanstack/react-query";
import { live } from "../feed/live";
import { answer, api } from "./client";

/** Which events: of one machine, of one kind. */
export interface EventsFilter {
  machine?: string | undefined;
  kind?: string | undefined;
}

/** Key of all events of an organization, whichever are asked for. */
export const eventsKey = (org: string) => ["orgs", org, "events"] as const;

export const eventsQuery = (org: string, filter: EventsFilter) =>
  infiniteQueryOptions({
    queryKey: [...eventsKey(org), filter],
    queryFn: ({ pageParam }) => {
      const query = {
        ...(filter.machine ? { machine: filter.machine } : {}),
        ...(filter.kind ? { kind: filter.kind } : {}),
        ...(pageParam ? { before: pageParam } : {}),
      };
      return answer(api.GET("/v1/orgs/{org}/events", { params: { path: { org }, query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next ?? null,
    refetchInterval: () => live.pace(org, 7000),
  });

// What happened to machines, newest first: what, why, who, when.
import { Anchor, Button, Center, Select, Text, ThemeIcon, Timeline } from "@mantine/core";
import {
  IconAlertTriangle,
  IconClockPlay,
  IconCpu,
  IconHistory,
  IconMoon,
  IconPlayerPlay,
  IconPlayerStop,
  IconPlus,
  IconPoint,
  IconTrash,
} from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type EventsFilter, eventsQuery } from "../api/events";
import type { MachineEvent } from "../api/schema";
import { causeWords, EVENT_KINDS, type EventLook, eventLook } from "../domain/events";
import { Empty, LoadError, Loading } from "./page";
import { Since } from "./since";

const ICONS: Record<EventLook["icon"], typeof IconPlus> = {
  made: IconPlus,
  awake: IconPlayerPlay,
  asleep: IconMoon,
  stopped: IconPlayerStop,
  failed: IconAlertTriangle,
  gone: IconTrash,
  held: IconClockPlay,
  kept: IconHistory,
  agent: IconCpu,
  other: IconPoint,
};

/** Chooses one kind of event. */
export function KindSelect({
  kind,
  onChange,
}: {
  kind: string | undefined;
  onChange: (kind: string | undefined) => void;
}) {
  return (
    <Select
      size="xs"
      flex="1 1 9rem"
      maw={220}
      aria-label="Kind"
      placeholder="Everything"
      clearable
      data={[...EVENT_KINDS]}
      value={kind ?? null}
      onChange={(value) => onChange(value ?? undefined)}
    />
  );
}

/** The events of an organization, or those that the filter leaves. */
export function EventTimeline({ org, filter }: { org: string; filter: EventsFilter }) {
  const query = useInfiniteQuery(eventsQuery(org, filter));
  const events = query.data?.pages.flatMap((page) => page.events);
  if (!events) {
    return query.error ? <LoadError error={query.error} retry={query.refetch} /> : <Loading />;
  }
  if (events.length === 0) {
    return filter.kind ? (
      <Empty title="Nothing of this kind">Choose another kind, or everything.</Empty>
    ) : (
      <Empty title="Nothing happened yet">What happens to machines is written down here.</Empty>
    );
  }
  return (
    <>
      <Timeline bulletSize={24} lineWidth={2} active={-1} aria-label="Activity">
        {events.map((event) => (
          <EventItem key={event.id} event={event} org={org} named={!filter.machine} />
        ))}
      </Timeline>
      {query.hasNextPage && (
        <Center mt="md" maw={720}>
          <Button variant="default" loading={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>
            Load more
          </Button>
        </Center>
      )}
    </>
  );
}

/** Mantine draws the line by the item's own properties, which it sets from outside. */
function EventItem({ event, org, named, ...drawn }: { event: MachineEvent; org: string; named: boolean }) {
  const look = eventLook(event.kind);
  const Icon = ICONS[look.icon];
  const cause = causeWords(event.cause);
  return (
    <Timeline.Item
      {...drawn}
      bullet={
        <ThemeIcon size={22} radius="xl" variant="light" color={look.color}>
          <Icon size={13} aria-hidden />
        </ThemeIcon>
      }
      title={
        <Text size="sm" fw={500} component="div">
          {named && (
            <>
              <Anchor
                size="sm"
                fw={600}
                renderRoot={(props) => (
                  <Link
                    to="/orgs/$org/machines/$machine/activity"
                    params={{ org, machine: event.machine.name }}
                    {...props}
                  />
                )}
              >
                {event.machine.name}
              </Anchor>
              {": "}
            </>
          )}
          {event.detail || `${look.word}.`}
        </Text>
      }
    >
      <Text size="xs" c="dimmed" component="div">
        {look.word} · {event.actor && <>{event.actor} · </>}
        {cause && <>{cause} · </>}
        <Since at={event.at} />
      </Text>
    </Timeline.Item>
  );
}

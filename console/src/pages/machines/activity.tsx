// What happened to a machine, newest first.
import { Button, Center, Text, Timeline } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { machineEventsQuery } from "../../api/machines";
import { Empty, LoadError, Loading } from "../../components/page";
import { Since } from "../../components/since";
import { useMachine } from "./use-machine";

export function Activity() {
  const { org, name } = useMachine();
  const query = useInfiniteQuery(machineEventsQuery(org, name));
  const events = query.data?.pages.flatMap((page) => page.events);
  if (!events) {
    return query.error ? <LoadError error={query.error} retry={query.refetch} /> : <Loading />;
  }
  if (events.length === 0) {
    return <Empty title="Nothing happened yet">What happens to the machine is written down here.</Empty>;
  }
  return (
    <>
      <Timeline bulletSize={12} lineWidth={2} active={-1} aria-label="Activity">
        {events.map((event) => (
          <Timeline.Item
            key={event.id}
            title={
              <Text size="sm" fw={500}>
                {event.detail || sentence(event.kind)}
              </Text>
            }
          >
            <Text size="xs" c="dimmed">
              {event.actor && <>{event.actor} · </>}
              <Since at={event.at} />
              {event.detail && (
                <>
                  {" "}
                  · <span className="code">{event.kind}</span>
                </>
              )}
            </Text>
          </Timeline.Item>
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

function sentence(kind: string): string {
  const words = kind.replaceAll("_", " ");
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

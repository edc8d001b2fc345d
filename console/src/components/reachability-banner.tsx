// Says that the API does not answer, keeps asking, and goes away by itself.
import { Group, Loader, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { answer, api } from "../api/client";
import { reachability } from "../api/reachability";

const ASK_EVERY = 3000;

export function ReachabilityBanner() {
  const trouble = useSyncExternalStore(reachability.subscribe, () => reachability.trouble);
  const client = useQueryClient();
  const lost = trouble !== null;

  useEffect(() => {
    if (!lost) {
      return;
    }
    const timer = setInterval(() => {
      answer(api.GET("/v1/health")).then(
        () => client.invalidateQueries(),
        () => {},
      );
    }, ASK_EVERY);
    return () => clearInterval(timer);
  }, [lost, client]);

  if (!lost) {
    return null;
  }
  return (
    <Group
      role="status"
      gap="xs"
      px="md"
      py={6}
      justify="center"
      bg="color-mix(in srgb, var(--mantine-color-yellow-5) 14%, var(--mantine-color-body))"
      style={{ borderBottom: "1px solid var(--page-border)" }}
    >
      <Loader size={12} color="yellow" />
      <Text size="sm">{trouble} Trying again by itself; nothing you see is lost.</Text>
    </Group>
  );
}

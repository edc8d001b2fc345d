// A state: a colour and a word, never the colour alone.
import { Group, Loader, Text } from "@mantine/core";
import type { StateLook } from "../domain/lifecycle";

export function StateBadge({ look, strong = false }: { look: StateLook; strong?: boolean }) {
  return (
    <Group
      gap={7}
      wrap="nowrap"
      component="span"
      style={{ display: "inline-flex" }}
      data-state={look.word.toLowerCase()}
    >
      {look.unfinished && strong ? (
        <Loader size={12} color={look.color} aria-hidden />
      ) : (
        <span
          className="state-dot"
          data-unfinished={look.unfinished || undefined}
          style={{ background: `var(--mantine-color-${look.color}-6)` }}
        />
      )}
      <Text span size="sm" fw={strong ? 600 : 500} className="nowrap">
        {look.word}
      </Text>
    </Group>
  );
}

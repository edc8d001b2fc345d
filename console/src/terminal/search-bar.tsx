// Search in what a terminal has shown.
import { ActionIcon, Group, Text, TextInput } from "@mantine/core";
import { IconChevronDown, IconChevronUp, IconX } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import type { Emulator } from "./emulator";

const DECORATIONS = {
  matchBackground: "#8a6100",
  matchOverviewRuler: "#8a6100",
  activeMatchBackground: "#0f766e",
  activeMatchColorOverviewRuler: "#0f766e",
};

export function SearchBar({ emulator, onClose }: { emulator: Emulator; onClose: () => void }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState<{ resultIndex: number; resultCount: number } | null>(null);
  useEffect(() => {
    const listening = emulator.search.onDidChangeResults(setFound);
    return () => {
      listening.dispose();
      emulator.search.clearDecorations();
    };
  }, [emulator]);
  const options = { decorations: DECORATIONS };
  const next = () => emulator.search.findNext(text, options);
  const previous = () => emulator.search.findPrevious(text, options);
  return (
    <Group className="terminal-search" gap={4} wrap="nowrap" role="search">
      <TextInput
        size="xs"
        autoFocus
        aria-label="Search in the terminal"
        placeholder="Search"
        value={text}
        onChange={(event) => {
          const typed = event.currentTarget.value;
          setText(typed);
          emulator.search.findPrevious(typed, { ...options, incremental: true });
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter") {
            event.shiftKey ? next() : previous();
          } else if (event.key === "Escape") {
            onClose();
          }
        }}
      />
      <Text size="xs" c="dimmed" miw={52} ta="center" role="status">
        {text && found
          ? found.resultCount
            ? `${found.resultIndex + 1} of ${found.resultCount}`
            : "none"
          : ""}
      </Text>
      <ActionIcon variant="subtle" color="gray" aria-label="Previous match" onClick={previous}>
        <IconChevronUp size={15} />
      </ActionIcon>
      <ActionIcon variant="subtle" color="gray" aria-label="Next match" onClick={next}>
        <IconChevronDown size={15} />
      </ActionIcon>
      <ActionIcon variant="subtle" color="gray" aria-label="Close search" onClick={onClose}>
        <IconX size={15} />
      </ActionIcon>
    </Group>
  );
}

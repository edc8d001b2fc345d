// Who else has a terminal open.
import { Avatar, Tooltip } from "@mantine/core";
import type { Person } from "./frames";
import { describePeople, initials } from "./presence";

const SHOWN = 3;

export function People({ people }: { people: readonly Person[] }) {
  const summary = describePeople(people);
  if (!summary) {
    return null;
  }
  const others = people.filter(({ you }) => !you);
  return (
    <Tooltip label={<span style={{ whiteSpace: "pre-line" }}>{summary.details}</span>}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the tooltip's names are for the keyboard too */}
      <div className="terminal-people" role="status" aria-label={summary.details} tabIndex={0}>
        <Avatar.Group spacing={6}>
          {others.slice(0, SHOWN).map((person) => (
            <Avatar
              key={person.name}
              size={20}
              radius="xl"
              color={person.write ? "teal" : "gray"}
              variant="filled"
            >
              {initials(person.name)}
            </Avatar>
          ))}
        </Avatar.Group>
        <span className="wide-only">{summary.short}</span>
      </div>
    </Tooltip>
  );
}

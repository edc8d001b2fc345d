// Words for who has a terminal open. Pure.
import type { Person } from "./frames";

/** Up to two letters: of the first and the last word of a name. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const of = [words[0], words.length > 1 ? words.at(-1) : ""];
  return of.map((word) => [...(word ?? "")][0]?.toUpperCase() ?? "").join("");
}

/** A few words, and a line for each person; `null` while nobody else and no other window is there. */
export function describePeople(people: readonly Person[]): { short: string; details: string } | null {
  const windows = people.reduce((sum, person) => sum + person.windows, 0);
  if (windows < 2) {
    return null;
  }
  const others = people.filter(({ you }) => !you);
  const readers = others.filter(({ write }) => !write).length;
  const writers = others.length - readers;
  const short = [writers > 0 ? `${writers} more here` : "", readers > 0 ? `${readers} watching` : ""]
    .filter((part) => part !== "")
    .join(", ");
  const details = people
    .map(({ name, write, windows, you }) => {
      const notes = [you ? "you" : "", write ? "" : "watching", windows > 1 ? `${windows} windows` : ""];
      const text = notes.filter((note) => note !== "").join(", ");
      return text === "" ? name : `${name} (${text})`;
    })
    .join("\n");
  return { short: short === "" ? `${windows} windows` : short, details };
}

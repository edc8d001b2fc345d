// Usage as a table for other programs.
import type { Usage } from "../../api/schema";

/** The address of a CSV file: one line for each machine and size. */
export function usageTable(usage: Usage): string {
  const lines = usage.machines.map(({ id, name, size, awake_seconds, wakes }) =>
    [id, name, size, wakes, awake_seconds].join(","),
  );
  const text = ["machine_id,name,size,wakes,awake_seconds", ...lines, ""].join("\r\n");
  return `data:text/csv;charset=utf-8,${encodeURIComponent(text)}`;
}

// Awake time of each day of a month as bars.
import { Text, Tooltip } from "@mantine/core";
import type { UsageDay } from "../../api/schema";
import { daysOf } from "../../domain/month";
import { hours } from "../../domain/time";

export function Days({ month, days }: { month: string; days: readonly UsageDay[] }) {
  const known = new Map(days.map(({ day, awake_seconds }) => [day, awake_seconds]));
  // An hour at least, so that a minute does not look like a day.
  const most = Math.max(3600, ...known.values());
  return (
    <figure className="usage-days" aria-label="Awake time by day">
      <Text size="xs" c="dimmed" className="usage-days-most">
        {hours(most)}
      </Text>
      <div className="usage-days-bars">
        {daysOf(month).map((day) => {
          const seconds = known.get(day);
          return (
            <Tooltip key={day} label={`${day}: ${seconds === undefined ? "not yet" : hours(seconds)}`}>
              <div className="usage-day">
                <div style={{ height: `${((seconds ?? 0) / most) * 100}%` }} />
              </div>
            </Tooltip>
          );
        })}
      </div>
      <figcaption>
        <span>1</span>
        <span>{daysOf(month).length}</span>
      </figcaption>
    </figure>
  );
}

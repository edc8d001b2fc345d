// A time relative to now, with the exact one at hand.
import { Tooltip } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { exactly, fromNow } from "../domain/time";

const TICK = 15_000;

function subscribe(listener: () => void): () => void {
  const timer = setInterval(listener, TICK);
  return () => clearInterval(timer);
}

function tick(): number {
  return Math.floor(Date.now() / TICK);
}

export function Since({ at }: { at: string }) {
  useSyncExternalStore(subscribe, tick);
  return (
    <Tooltip label={exactly(at)}>
      <time dateTime={at} className="nowrap">
        {fromNow(at, Date.now())}
      </time>
    </Tooltip>
  );
}

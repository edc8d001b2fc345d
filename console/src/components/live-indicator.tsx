// Whether what is shown follows what happens.
import { Tooltip } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { live } from "../feed/live";

export function LiveIndicator({ org }: { org: string }) {
  const is = useSyncExternalStore(live.subscribe, () => live.of(org));
  if (is === undefined) {
    return null;
  }
  const word = is ? "Live" : "Reconnecting";
  const detail = is
    ? "What you see follows what happens."
    : "Changes do not come in by themselves now. This page asks for them every few seconds.";
  return (
    <Tooltip label={detail} multiline maw={260}>
      <span className="live-indicator" role="status" aria-label="Updates" data-live={is}>
        <span className="state-dot" data-unfinished={is ? undefined : true} />
        <span className={is ? "wide-only" : undefined}>{word}</span>
      </span>
    </Tooltip>
  );
}

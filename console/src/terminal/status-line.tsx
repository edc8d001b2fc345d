// The calm line over a terminal that is not simply there.
import { Button, Group, Loader, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { Link, useLocation } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ActionButton } from "../components/action-button";
import { describeEnd, type Status } from "./status";

interface Props {
  status: Status;
  stopped: boolean;
  readOnly: boolean;
  onWake: () => void;
  onNewTerminal: () => void;
  /** Why there can be no new terminal now. */
  newRefused: string | null;
}

interface Line {
  text: string;
  busy?: boolean;
  action?: ReactNode;
}

/** What takes less than this is not worth a line. */
const SHOWN_AFTER = 400;

export function StatusLine(props: Props) {
  const [settled] = useDebouncedValue(props.status, SHOWN_AFTER);
  const location = useLocation();
  const brief = props.status.is === "connecting" || props.status.is === "waiting";
  const line = brief && settled.is !== props.status.is ? null : describe(props, location.href);
  if (!line) {
    return null;
  }
  return (
    <Group className="terminal-status" role="status" gap="sm" wrap="nowrap">
      {line.busy && <Loader size={13} />}
      <Text size="sm">{line.text}</Text>
      {line.action}
    </Group>
  );
}

function describe(
  { status, stopped, readOnly, onWake, onNewTerminal, newRefused }: Props,
  here: string,
): Line | null {
  const newTerminal = readOnly ? undefined : (
    <ActionButton size="compact-xs" refused={newRefused} onClick={onNewTerminal}>
      New terminal
    </ActionButton>
  );
  const again = (label: string) => (
    <Button size="compact-xs" onClick={onWake}>
      {label}
    </Button>
  );
  switch (status.is) {
    case "live":
      return null;
    case "connecting":
      return { text: "Connecting…", busy: true };
    case "waking":
      return { text: "Waking the machine…", busy: true };
    case "sleeping":
      return { text: "The machine is going to sleep…", busy: true };
    case "waiting":
      return { text: "The connection is lost. Trying again…", busy: true, action: again("Try now") };
    case "asleep":
      if (stopped) {
        return { text: "The machine is stopped. Start it to go on here." };
      }
      return readOnly
        ? { text: "The machine is asleep." }
        : { text: "The machine is asleep; its files are kept. Type, or wake it.", action: again("Wake") };
    case "failed":
      return { text: status.reason || "The machine could not be woken.", action: again("Try again") };
    case "ended":
      return { text: describeEnd(status.end), action: newTerminal };
    case "closed":
      switch (status.why) {
        case "sign-in":
          return {
            text: "Your session has ended.",
            action: (
              <Button
                size="compact-xs"
                renderRoot={(props) => <Link to="/signin" search={{ to: here }} {...props} />}
              >
                Sign in
              </Button>
            ),
          };
        case "forbidden":
          return { text: "You have no access to this terminal any more." };
        case "gone":
          return { text: "This terminal is gone.", action: newTerminal };
        case "replaced":
          return { text: "This terminal is open in another place.", action: again("Use it here") };
      }
  }
}

// The calm line over a terminal that is not simply there, or that has something to say.
import { Button, CloseButton, Group, Loader, Text, VisuallyHidden } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { Link, useLocation } from "@tanstack/react-router";
import { type ReactNode, useEffect, useState } from "react";
import { ActionButton } from "../components/action-button";
import { clock } from "../domain/time";
import { describeEnd, describeIdle, type Status } from "./status";

interface Props {
  status: Status;
  /** When the idle machine goes to sleep, Unix ms, once that is near. */
  sleepsAt: number | null;
  onKeepAwake: () => void;
  note: { text: string } | null;
  onNoteRead: () => void;
  stopped: boolean;
  readOnly: boolean;
  /** Where a new shell would start, if that is known. */
  directory: string | null;
  onWake: () => void;
  onRestart: () => void;
  /** Why there can be no new shell now. */
  restartRefused: string | null;
}

interface Line {
  text: ReactNode;
  busy?: boolean;
  action?: ReactNode;
}

/** What takes less than this is not worth a line. */
const SHOWN_AFTER = 400;
const NOTE_FOR = 10_000;
const COUNTED_EVERY = 1000;
const BRIEF = ["connecting", "waiting", "waking"];

export function StatusLine(props: Props) {
  const { status, note, onNoteRead } = props;
  const [settled] = useDebouncedValue(status, SHOWN_AFTER);
  const location = useLocation();
  useEffect(() => {
    if (note) {
      const timer = setTimeout(onNoteRead, NOTE_FOR);
      return () => clearTimeout(timer);
    }
  }, [note, onNoteRead]);
  const brief = BRIEF.includes(status.is) && settled.is !== status.is;
  const line = brief ? null : describe(props, location.href);
  if (!line && !note) {
    return null;
  }
  return (
    <div className="terminal-status">
      {note && (
        <Group role="status" gap="sm" wrap="nowrap">
          <Text size="sm">{note.text}</Text>
          <CloseButton size="xs" aria-label="Close this note" onClick={onNoteRead} />
        </Group>
      )}
      {line && (
        <Group role="status" gap="sm" wrap="nowrap">
          {line.busy && <Loader size={13} />}
          <Text size="sm">{line.text}</Text>
          {line.action}
        </Group>
      )}
    </div>
  );
}

function describe(props: Props, here: string): Line | null {
  const { status, stopped, readOnly, onWake } = props;
  const button = (label: string) => (
    <Button size="compact-xs" miw="max-content" onClick={onWake}>
      {label}
    </Button>
  );
  switch (status.is) {
    case "live":
      if (props.sleepsAt === null) {
        return null;
      }
      return {
        text: <Idle sleepsAt={props.sleepsAt} />,
        action: readOnly ? undefined : (
          <Button size="compact-xs" miw="max-content" variant="default" onClick={props.onKeepAwake}>
            Keep awake…
          </Button>
        ),
      };
    case "connecting":
      return { text: "Connecting…", busy: true };
    case "waking":
      return { text: "Waking the machine…", busy: true };
    case "sleeping":
      return { text: "The machine is going to sleep…", busy: true };
    case "waiting":
      return { text: "The connection is lost. Trying again…", busy: true, action: button("Try now") };
    case "asleep": {
      const what = stopped ? "Stopped" : "Asleep";
      const since = status.since === null ? "" : ` since ${clock(status.since, Date.now())}`;
      const screen = status.since === null ? "" : " This is the last screen.";
      if (stopped) {
        return { text: `${what}${since}.${screen} Start the machine to go on here.` };
      }
      return readOnly
        ? { text: `${what}${since}.${screen}` }
        : { text: `${what}${since}.${screen} Press a key, or wake it.`, action: button("Wake") };
    }
    case "failed":
      return { text: status.reason || "The machine could not be woken.", action: button("Try again") };
    case "ended":
      return {
        text: describeEnd(status.end),
        action: restart(props, status.end.by === "lost" || status.end.by === "restored"),
      };
    case "closed":
      switch (status.why) {
        case "sign-in":
          return {
            text: "Your session has ended.",
            action: (
              <Button
                size="compact-xs"
                miw="max-content"
                renderRoot={(props) => <Link to="/signin" search={{ to: here }} {...props} />}
              >
                Sign in
              </Button>
            ),
          };
        case "forbidden":
          return { text: "You have no access to this terminal any more." };
        case "gone":
          return { text: "This terminal is gone.", action: restart(props, true) };
        case "replaced":
          return { text: "This terminal is open in another place.", action: button("Use it here") };
      }
  }
}

/** Says how long it still takes, for as long as it is shown. */
function Idle({ sleepsAt }: { sleepsAt: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), COUNTED_EVERY);
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      {/* Said once to those who listen, and not every second. */}
      <VisuallyHidden>Nobody has used this machine for a while: it goes to sleep soon.</VisuallyHidden>
      <span aria-hidden>{describeIdle(sleepsAt - now)}</span>
    </>
  );
}

function restart({ readOnly, directory, restartRefused, onRestart }: Props, lost: boolean): ReactNode {
  if (readOnly) {
    return undefined;
  }
  const label = !lost ? "Restart" : directory ? `New shell in ${shortened(directory)}` : "New shell";
  return (
    <ActionButton size="compact-xs" miw="max-content" refused={restartRefused} onClick={onRestart}>
      {label}
    </ActionButton>
  );
}

/** The end of a path says most. */
function shortened(path: string): string {
  return path.length > 32 ? `…${path.slice(-31)}` : path;
}

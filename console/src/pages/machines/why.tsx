// Why a machine is awake or asleep: asked for, and shown beside its state. Here holds are taken and ended.
import { Anchor, Group, List, Popover, Stack, Text } from "@mantine/core";
import { useDisclosure, useWindowEvent } from "@mantine/hooks";
import { IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useEndHold, whyQuery } from "../../api/holds";
import type { Hold, Machine, Why } from "../../api/schema";
import { ActionButton, ActionIconButton } from "../../components/action-button";
import { LoadError, Loading } from "../../components/page";
import { notifyProblem } from "../../components/problem";
import { Since } from "../../components/since";
import { refuseHold } from "../../domain/holds";
import { refuseRole } from "../../domain/roles";
import { useOrg } from "../orgs/use-org";
import { KeepAwakeDialog } from "./keep-awake-dialog";

const ACTIVITY: Record<string, string> = {
  terminal: "a terminal was used",
  request: "an app was used",
  command: "a command ran",
  cpu: "its processors were busy",
  other: "something happened",
};

export function WhyAwake({ machine }: { machine: Machine }) {
  const [opened, { toggle, close }] = useDisclosure();
  const [asking, dialog] = useDisclosure();
  const { role } = useOrg();
  const refused = refuseRole(role, "member");
  // Not only from within: ending a hold takes its button away, and the keyboard's place with it.
  useWindowEvent("keydown", (event) => {
    if (opened && event.key === "Escape") {
      close();
    }
  });
  const question = machine.state === "running" ? "Why is it awake?" : "Why is it not awake?";
  return (
    <>
      <Popover
        opened={opened}
        onChange={(open) => !open && close()}
        width={360}
        position="bottom-start"
        trapFocus
      >
        <Popover.Target>
          <Anchor component="button" type="button" size="sm" aria-expanded={opened} onClick={toggle}>
            {question}
          </Anchor>
        </Popover.Target>
        <Popover.Dropdown aria-label={question}>
          <Stack gap="sm">
            <Answer machine={machine} refused={refused} />
            <Group>
              <ActionButton
                variant="default"
                refused={refused ?? refuseHold(machine.state)}
                onClick={() => {
                  close();
                  dialog.open();
                }}
              >
                Keep awake…
              </ActionButton>
            </Group>
          </Stack>
        </Popover.Dropdown>
      </Popover>
      <KeepAwakeDialog opened={asking} machine={machine} onClose={dialog.close} />
    </>
  );
}

function Answer({ machine, refused }: { machine: Machine; refused: string | null }) {
  const { data: why, error, refetch } = useQuery(whyQuery(machine.org, machine.name));
  if (!why) {
    return error ? <LoadError error={error} retry={refetch} /> : <Loading what="Loading the reasons" />;
  }
  return (
    <>
      <Text size="sm">
        {why.reason} · <Since at={why.since} />
      </Text>
      <Keepers why={why} />
      {why.holds.length > 0 && (
        <List size="sm" spacing={4} listStyleType="none" aria-label="Holds">
          {why.holds.map((hold) => (
            <HoldLine key={hold.id} hold={hold} machine={machine} refused={refused} />
          ))}
        </List>
      )}
      <List size="xs" c="dimmed" aria-label="What would change that">
        {why.changes.map((change) => (
          <List.Item key={change}>{change}</List.Item>
        ))}
      </List>
    </>
  );
}

function Keepers({ why }: { why: Why }) {
  return (
    <Text size="sm" component="div">
      {why.last_activity && (
        <div>
          Last, {ACTIVITY[why.last_activity.kind] ?? ACTIVITY.other}: <Since at={why.last_activity.at} />
        </div>
      )}
      {why.tasks.length > 0 && <div>Programs in it keep it awake: {why.tasks.join(", ")}.</div>}
      {why.services.length > 0 && <div>Services keep it awake: {why.services.join(", ")}.</div>}
      {why.sleeps_at && (
        <div>
          If nothing happens, it hibernates <Since at={why.sleeps_at} />
        </div>
      )}
      {!why.live && <div>Its gateway does not answer: this is what was last written down.</div>}
    </Text>
  );
}

function HoldLine({ hold, machine, refused }: { hold: Hold; machine: Machine; refused: string | null }) {
  const end = useEndHold(machine.org, machine.name);
  return (
    <List.Item>
      <Group gap={4} wrap="nowrap" justify="space-between">
        <span>
          Held by {hold.created_by ?? "somebody who left"}: {hold.reason} · ends <Since at={hold.until} />
        </span>
        <ActionIconButton
          label={`End the hold: ${hold.reason}`}
          refused={refused}
          loading={end.isPending}
          onClick={() => end.mutate(hold.id, { onError: notifyProblem })}
        >
          <IconX size={14} />
        </ActionIconButton>
      </Group>
    </List.Item>
  );
}

// The log of one service, in place of the table of services.
import { Anchor, Group, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { MachineState, Service } from "../../api/schema";
import { Empty } from "../../components/page";
import { StateBadge } from "../../components/state-badge";
import { LogViewer } from "../../logs/viewer";
import { serviceStateLook } from "./state-look";

interface Props {
  org: string;
  machine: string;
  state: MachineState;
  name: string;
  /** Undefined when there is none of this name. */
  service: Service | undefined;
}

export function ServiceLogs({ org, machine, state, name, service }: Props) {
  return (
    <section className="logs-page" aria-label={`Log of ${name}`}>
      <Group gap="xs" mb="xs" wrap="nowrap">
        <Anchor
          renderRoot={(props) => (
            <Link to="/orgs/$org/machines/$machine/services" params={{ org, machine }} {...props} />
          )}
        >
          Services
        </Anchor>
        <span aria-hidden>/</span>
        <Title order={2} className="code" style={{ fontSize: "1rem" }}>
          {name}
        </Title>
        {service && <StateBadge look={serviceStateLook(service, state)} />}
      </Group>
      {service ? (
        <LogViewer of={{ org, machine, service: name }} awake={state === "running"} />
      ) : (
        <Empty title={`There is no service ${name} on this machine`}>
          Its log went with it when it was deleted.
        </Empty>
      )}
    </section>
  );
}

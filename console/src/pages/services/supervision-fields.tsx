// How a service is started, restarted and stopped: what most services never need to say, behind "More".
import {
  Button,
  Checkbox,
  Collapse,
  Group,
  Input,
  MultiSelect,
  NumberInput,
  SegmentedControl,
  Stack,
  TextInput,
} from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useState } from "react";
import type { AtSleep, Readiness, RestartPolicy, Service } from "../../api/schema";
import { fieldError } from "../../components/problem";
import { mayNeed } from "../../domain/services";

export interface Supervision {
  needs: string[];
  readyBy: Readiness["by"] | "running";
  readyPath: string;
  readyPort: number | string;
  readySeconds: number | string;
  restart: RestartPolicy | "once";
  grace: number | string;
  atSleep: AtSleep;
  keepAwake: boolean;
}

export function supervisionOf(service: Service | undefined): Supervision {
  const ready = service?.ready;
  return {
    needs: service?.needs ?? [],
    readyBy: ready?.by ?? "running",
    readyPath: ready?.by === "http" ? ready.path : "/",
    readyPort: ready?.by === "tcp" ? ready.port : "",
    readySeconds: ready?.by === "delay" ? ready.seconds : 5,
    restart: service?.once ? "once" : (service?.restart ?? "always"),
    grace: service?.stop_grace_seconds ?? "",
    atSleep: service?.at_sleep ?? "keep",
    keepAwake: service?.keep_awake ?? false,
  };
}

/** What the API gets. */
export function supervisionBody(given: Supervision, service: Service | undefined) {
  return {
    needs: given.needs,
    ready: readiness(given),
    ready_limit_seconds: service?.ready_limit_seconds ?? null,
    restart: given.restart === "once" ? "never" : given.restart,
    once: given.restart === "once",
    stop_grace_seconds: given.grace === "" ? null : Number(given.grace),
    at_sleep: given.atSleep,
    keep_awake: given.keepAwake,
  };
}

function readiness(given: Supervision): Readiness | null {
  switch (given.readyBy) {
    case "running":
      return null;
    case "http":
      return { by: "http", path: given.readyPath };
    case "tcp":
      return { by: "tcp", port: Number(given.readyPort) };
    case "delay":
      return { by: "delay", seconds: Number(given.readySeconds) };
  }
}

/** Why it cannot be accepted, by field; an empty record when it can. */
export function refuseSupervision(given: Supervision, httpPort: number | string) {
  const refused: { ready?: string; grace?: string } = {};
  if (given.readyBy === "http" && httpPort === "") {
    refused.ready = "It has no HTTP port to be asked at.";
  } else if (given.readyBy === "http" && !/^\/(?!\/)[!-~]*$/.test(given.readyPath)) {
    refused.ready = "A path starts with one slash and has no spaces in it.";
  } else if (given.readyBy === "tcp" && !isWithin(given.readyPort, 1, 65_535)) {
    refused.ready = "A port is a number from 1 to 65535.";
  } else if (given.readyBy === "delay" && !isWithin(given.readySeconds, 0, 3600)) {
    refused.ready = "A delay has 0 to 3600 seconds.";
  }
  if (given.grace !== "" && !isWithin(given.grace, 1, 300)) {
    refused.grace = "This is a number from 1 to 300.";
  }
  return refused;
}

function isWithin(given: number | string, least: number, most: number): boolean {
  const number = given === "" ? Number.NaN : Number(given);
  return Number.isInteger(number) && number >= least && number <= most;
}

/** Whether any of it is not what it is by itself: then it is shown at once. */
function saysSomething(given: Supervision): boolean {
  const plain = supervisionOf(undefined);
  return (
    given.needs.length > 0 ||
    given.readyBy !== plain.readyBy ||
    given.restart !== plain.restart ||
    given.grace !== "" ||
    given.atSleep !== plain.atSleep ||
    given.keepAwake
  );
}

const READY: Record<Supervision["readyBy"], string> = {
  running: "Ready once it has run for a second.",
  http: "Ready once a GET of this path on its HTTP port is answered, other than by a server error.",
  tcp: "Ready once this port takes connections.",
  delay: "Ready once it has run for so long.",
};

const RESTART: Record<Supervision["restart"], string> = {
  always: "Started again whenever it ends.",
  on_failure:
    "Started again unless it ends with code 0. Then it has done its work, and what needs it starts.",
  never: "Runs once per wake. What needs it starts when it ends with code 0.",
  once: "Runs once in the life of the machine, and again when somebody starts it.",
};

const AT_SLEEP: Record<AtSleep, string> = {
  keep: "It goes on where it was when memory was kept, and is started again when it was not.",
  stop: "It gets TERM and time to write its state, and is started again at the next wake.",
};

interface Props {
  value: Supervision;
  onChange: (value: Supervision) => void;
  name: string;
  httpPort: number | string;
  services: readonly Service[];
  error: Error | null;
}

export function SupervisionFields({ value, onChange, name, httpPort, services, error }: Props) {
  const [opened, setOpened] = useState(() => saysSomething(value));
  const set = (change: Partial<Supervision>) => onChange({ ...value, ...change });
  const refused = refuseSupervision(value, httpPort);
  const hasError = ["needs", "ready", "restart", "stop_grace_seconds"].some((field) =>
    fieldError(error, field),
  );
  const isOpen = opened || hasError;
  return (
    <div>
      <Button
        variant="subtle"
        color="gray"
        size="compact-sm"
        leftSection={isOpen ? <IconChevronDown size={14} /> : <IconChevronRight size={14} />}
        aria-expanded={isOpen}
        onClick={() => setOpened(!isOpen)}
      >
        More: order, readiness, restarts, sleep
      </Button>
      <Collapse expanded={isOpen}>
        <Stack gap="sm" mt="sm">
          <MultiSelect
            label="Needs"
            description="Started once these are ready; an ordered sleep stops it before them."
            data={mayNeed(services, name)}
            value={value.needs}
            onChange={(needs) => set({ needs })}
            error={fieldError(error, "needs")}
            placeholder={value.needs.length === 0 ? "No other service" : ""}
            nothingFoundMessage="No other service can be needed."
            searchable
            hidePickedOptions
          />
          <Input.Wrapper label="Ready" labelElement="div" description={READY[value.readyBy]}>
            <Choice
              label="Ready"
              value={value.readyBy}
              onChange={(readyBy) => set({ readyBy })}
              data={[
                { value: "running", label: "When it runs" },
                { value: "http", label: "HTTP" },
                { value: "tcp", label: "TCP" },
                { value: "delay", label: "Delay" },
              ]}
            />
            <ReadyDetail
              value={value}
              set={set}
              refused={refused.ready ?? fieldError(error, "ready") ?? null}
            />
          </Input.Wrapper>
          <Input.Wrapper label="When it ends" labelElement="div" description={RESTART[value.restart]}>
            <Choice
              label="When it ends"
              value={value.restart}
              onChange={(restart) => set({ restart })}
              data={[
                { value: "always", label: "Start again" },
                { value: "on_failure", label: "If it failed" },
                { value: "never", label: "Leave it" },
                { value: "once", label: "Only once" },
              ]}
            />
          </Input.Wrapper>
          <NumberInput
            label="Grace"
            description="Seconds between TERM and KILL when it is stopped."
            placeholder="10"
            value={value.grace}
            onChange={(grace) => set({ grace })}
            allowDecimal={false}
            allowNegative={false}
            hideControls
            maw={200}
            error={refused.grace ?? fieldError(error, "stop_grace_seconds")}
          />
          <Input.Wrapper
            label="When the machine hibernates"
            labelElement="div"
            description={AT_SLEEP[value.atSleep]}
          >
            <Choice
              label="When the machine hibernates"
              value={value.atSleep}
              onChange={(atSleep) => set({ atSleep })}
              data={[
                { value: "keep", label: "Freeze it too" },
                { value: "stop", label: "Stop it first" },
              ]}
            />
          </Input.Wrapper>
          <Checkbox
            label="Keeps the machine awake"
            description="The machine does not hibernate by itself while this service runs."
            checked={value.keepAwake}
            onChange={(event) => set({ keepAwake: event.currentTarget.checked })}
          />
        </Stack>
      </Collapse>
    </div>
  );
}

function Choice<T extends string>({
  label,
  value,
  onChange,
  data,
}: {
  label: string;
  value: T;
  onChange: (value: T) => void;
  data: { value: T; label: string }[];
}) {
  return (
    <Group>
      <SegmentedControl
        size="xs"
        mt={6}
        aria-label={label}
        value={value}
        onChange={(chosen) => onChange(chosen as T)}
        data={data}
      />
    </Group>
  );
}

function ReadyDetail({
  value,
  set,
  refused,
}: {
  value: Supervision;
  set: (change: Partial<Supervision>) => void;
  refused: string | null;
}) {
  switch (value.readyBy) {
    case "running":
      return refused ? <Input.Error mt={6}>{refused}</Input.Error> : null;
    case "http":
      return (
        <TextInput
          mt={6}
          aria-label="Path to ask"
          value={value.readyPath}
          onChange={(event) => set({ readyPath: event.currentTarget.value })}
          error={refused}
          classNames={{ input: "code" }}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
      );
    case "tcp":
      return (
        <NumberInput
          mt={6}
          maw={200}
          aria-label="Port to connect to"
          placeholder="5432"
          value={value.readyPort}
          onChange={(readyPort) => set({ readyPort })}
          allowDecimal={false}
          allowNegative={false}
          hideControls
          error={value.readyPort === "" ? null : refused}
        />
      );
    case "delay":
      return (
        <NumberInput
          mt={6}
          maw={200}
          aria-label="Seconds to wait"
          suffix=" s"
          value={value.readySeconds}
          onChange={(readySeconds) => set({ readySeconds })}
          allowDecimal={false}
          allowNegative={false}
          hideControls
          error={refused}
        />
      );
  }
}

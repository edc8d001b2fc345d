// A new machine. The name is checked as it is typed, and shows the URL that it gives.
import { Button, Group, Modal, Select, Stack, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { deploymentQuery } from "../../api/deployment";
import { useCreateMachine } from "../../api/machines";
import type { Machine, Offer, RuntimeType, Size } from "../../api/schema";
import { LoadError, Loading } from "../../components/page";
import { fieldError, ProblemBox } from "../../components/problem";
import { appUrl } from "../../domain/app-url";
import { composeScript, refuseSetup, type Setup } from "../../domain/first-boot";
import { refuseMachineName } from "../../domain/names";
import { SetupFields } from "./setup-fields";

const RUNTIMES: Record<RuntimeType, string> = { sprites: "Fly Sprites", spritehost: "Own host (spritehost)" };
const FIELDS = ["name", "size", "region", "runtime", "first_boot"] as const;

interface Props {
  opened: boolean;
  org: string;
  /** Those that are there: their names are taken. */
  machines: readonly Machine[];
  onClose: () => void;
}

export function CreateMachineDialog(props: Props) {
  const { data: deployment, error, refetch } = useQuery(deploymentQuery);
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title="Create machine"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {deployment ? (
        <Form {...props} offer={deployment.offer} apps={deployment.apps} />
      ) : error ? (
        <LoadError error={error} retry={refetch} />
      ) : (
        <Loading />
      )}
    </Modal>
  );
}

function Form({ org, machines, onClose, offer, apps }: Props & { offer: Offer; apps: string }) {
  const create = useCreateMachine(org);
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [size, setSize] = useState(offer.sizes[0]?.id ?? "");
  const [region, setRegion] = useState(offer.regions[0]?.id ?? "");
  const [runtime, setRuntime] = useState<RuntimeType | undefined>(offer.runtimes[0]);
  const [setup, setSetup] = useState<Setup>({ repository: "", command: "", dotfiles: "" });

  const taken = machines.some((machine) => machine.name === name)
    ? "Another machine of this organization has this name."
    : null;
  const refused = name === "" ? null : (refuseMachineName(name) ?? taken);
  const answered = create.variables?.name === name ? fieldError(create.error, "name") : undefined;
  const url = appUrl(apps, org, refused || !name ? "name" : name);
  const ready = name !== "" && !refused && Object.keys(refuseSetup(setup)).length === 0;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!ready) {
          return;
        }
        create.mutate(
          { name, size, region, runtime: runtime ?? null, first_boot: composeScript(setup) },
          {
            onSuccess: (machine) =>
              navigate({ to: "/orgs/$org/machines/$machine", params: { org, machine: machine.name } }),
          },
        );
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Name"
          required
          data-autofocus
          // Also when the form comes later than the dialog, which waits for what is offered.
          autoFocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={refused ?? answered}
          placeholder="api-demo"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          inputWrapperOrder={["label", "input", "error", "description"]}
          description={
            <Text span size="xs" className="code" c={name && !refused ? undefined : "dimmed"}>
              {url}
            </Text>
          }
        />
        <Select
          label="Size"
          data={offer.sizes.map((one) => ({ value: one.id, label: sizeText(one) }))}
          value={size}
          onChange={(value) => value && setSize(value)}
          allowDeselect={false}
          error={fieldError(create.error, "size")}
        />
        <Select
          label="Region"
          data={offer.regions.map((one) => ({ value: one.id, label: one.label }))}
          value={region}
          onChange={(value) => value && setRegion(value)}
          allowDeselect={false}
          error={fieldError(create.error, "region")}
        />
        <Select
          label="Runtime"
          data={offer.runtimes.map((one) => ({ value: one, label: RUNTIMES[one] }))}
          value={runtime ?? null}
          onChange={(value) => value && setRuntime(value as RuntimeType)}
          allowDeselect={false}
          error={fieldError(create.error, "runtime")}
        />
        <SetupFields value={setup} onChange={setSetup} error={fieldError(create.error, "first_boot")} />
        <ProblemBox error={create.error} fields={FIELDS} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!ready}>
            Create
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function sizeText({ label, cpus, memory_mb, disk_gb }: Size): string {
  return `${label}: ${cpus} CPU${cpus === 1 ? "" : "s"}, ${memory_mb / 1024} GiB memory, ${disk_gb} GiB disk`;
}

// A new organization: a name for people, and the slug that is part of every app address.
import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { deploymentQuery } from "../../api/deployment";
import { useCreateOrg } from "../../api/orgs";
import { fieldError, ProblemBox } from "../../components/problem";
import { appUrl } from "../../domain/app-url";
import { refuseOrgSlug, suggestSlug } from "../../domain/names";

export function CreateOrgDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="New organization"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Form onClose={onClose} />
    </Modal>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const { data: deployment } = useQuery(deploymentQuery);
  const create = useCreateOrg();
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [typedSlug, setTypedSlug] = useState<string | null>(null);
  const slug = typedSlug ?? suggestSlug(name);
  const refused = slug === "" ? null : refuseOrgSlug(slug);
  const taken = create.variables?.slug === slug ? fieldError(create.error, "slug") : undefined;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate(
          { slug, name: name.trim() },
          {
            onSuccess: () => {
              onClose();
              void navigate({ to: "/orgs/$org/machines", params: { org: slug } });
            },
          },
        );
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Name"
          data-autofocus
          required
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={fieldError(create.error, "name")}
        />
        <TextInput
          label="Slug"
          required
          description={
            deployment && slug && !refused
              ? `Apps get addresses such as ${appUrl(deployment.apps, slug, "machine")}. It cannot be changed later.`
              : "Part of every app address. It cannot be changed later."
          }
          value={slug}
          onChange={(event) => setTypedSlug(event.currentTarget.value)}
          error={refused ?? taken}
          autoComplete="off"
          spellCheck={false}
        />
        <ProblemBox error={create.error} fields={["slug", "name"]} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!name.trim() || !slug || !!refused}>
            Create organization
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

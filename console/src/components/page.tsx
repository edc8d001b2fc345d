// Parts that every page has: a title, something while it loads, something when there is nothing.
import { Button, Center, Group, Loader, Stack, Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";
import { ProblemBox } from "./problem";

export function Page({
  title,
  actions,
  children,
}: {
  title: string;
  actions?: ReactNode;
  children: ReactNode;
}) {
  useDocumentTitle(`${title} · SnapVM`);
  return (
    <div className="page">
      <Group justify="space-between" mb="md" gap="xs">
        <Title order={1}>{title}</Title>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </div>
  );
}

export function Section({
  title,
  description,
  actions,
  children,
}: {
  title: string;
  description?: string;
  actions?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section aria-label={title}>
      <Group justify="space-between" align="flex-end" mb="xs" gap="xs">
        <div>
          <Title order={2}>{title}</Title>
          {description && (
            <Text size="sm" c="dimmed">
              {description}
            </Text>
          )}
        </div>
        {actions}
      </Group>
      {children}
    </section>
  );
}

export function Loading({ what = "Loading" }: { what?: string }) {
  return (
    <Center py="xl" role="status" aria-label={what}>
      <Loader size="sm" type="dots" />
    </Center>
  );
}

export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children: ReactNode;
  action?: ReactNode;
}) {
  return (
    <Stack className="panel" align="center" gap={6} px="md" py={36} ta="center">
      <Text fw={600}>{title}</Text>
      <Text size="sm" c="dimmed" maw={460} component="div">
        {children}
      </Text>
      {action && <div style={{ marginTop: 10 }}>{action}</div>}
    </Stack>
  );
}

/** In place of something that could not be loaded. */
export function LoadError({ error, retry }: { error: unknown; retry: () => void }) {
  return (
    <Stack gap="xs" align="flex-start">
      <ProblemBox error={error} />
      <Button variant="default" onClick={retry}>
        Try again
      </Button>
    </Stack>
  );
}

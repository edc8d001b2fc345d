// Pages for what is not there, and for what went wrong in the console itself.
import { Button, Group, Text } from "@mantine/core";
import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { Page } from "../components/page";

export function NotFound({ what = "There is nothing at this address." }: { what?: string }) {
  return (
    <Page title="Not found">
      <Text c="dimmed" mb="md">
        {what} It may have been deleted, or belong to an organization that you are not a member of.
      </Text>
      <Button variant="default" renderRoot={(props) => <Link to="/" {...props} />}>
        Go to the start page
      </Button>
    </Page>
  );
}

export function Trouble({ error, reset }: ErrorComponentProps) {
  const message = error instanceof Error ? error.message : String(error);
  // A page's code is loaded when it is first opened; after a deployment the old one is gone.
  const outdated = /dynamically imported module|Importing a module/i.test(message);
  return (
    <Page title={outdated ? "There is a newer console" : "Something went wrong here"}>
      <Text c="dimmed" mb="md">
        {outdated
          ? "This page belongs to a version that was replaced. Load it again."
          : "The console failed to draw this page. Your machines are not affected."}
      </Text>
      {!outdated && (
        <Text className="code" mb="md">
          {message}
        </Text>
      )}
      <Group gap="xs">
        <Button onClick={() => window.location.reload()}>Load again</Button>
        {!outdated && (
          <Button variant="default" onClick={reset}>
            Try again
          </Button>
        )}
      </Group>
    </Page>
  );
}

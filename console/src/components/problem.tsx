// Errors for people: by field where the API names one, otherwise in a box.
import { Alert } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconAlertCircle } from "@tabler/icons-react";
import { Refused } from "../api/client";
import { duration } from "../domain/time";

/** The sentence for an error, with the waiting time where there is one. */
export function describe(error: unknown): string {
  if (error instanceof Refused) {
    const { detail, retry_after_seconds: wait, status, request_id: request } = error.problem;
    if (status === 429 && wait) {
      return `Too many tries. Try again in ${duration(wait)}.`;
    }
    return status >= 500 ? `${detail} (Request ${request})` : detail;
  }
  return error instanceof Error ? error.message : "Something went wrong.";
}

/** What the API says about one field. */
export function fieldError(error: unknown, field: string): string | undefined {
  return error instanceof Refused && error.problem.field === field ? error.problem.detail : undefined;
}

/** An error in a box. What is about one of `fields` is left to the field. */
export function ProblemBox({ error, fields = [] }: { error: unknown; fields?: readonly string[] }) {
  if (!error || (error instanceof Refused && error.problem.field && fields.includes(error.problem.field))) {
    return null;
  }
  return (
    <Alert color="red" variant="light" icon={<IconAlertCircle />} role="alert" py="xs">
      {describe(error)}
    </Alert>
  );
}

/** An error of something that was started with a click and has no form to say it in. */
export function notifyProblem(error: unknown): void {
  notifications.show({ color: "red", message: describe(error), title: "That did not work" });
}

export function notifyDone(message: string): void {
  notifications.show({ message, color: "teal", autoClose: 2500 });
}

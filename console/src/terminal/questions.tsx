// What is asked before a terminal's text does something outside of it: follows a link, fills the clipboard, pastes lines
// that would run at once.
import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { CopyButton } from "../components/copy-button";

export type Question =
  | { is: "link"; url: URL }
  | { is: "clipboard"; text: string }
  | { is: "paste"; text: string; lines: number };

interface Props {
  question: Question | null;
  onYes: (question: Question) => void;
  onNo: (question: Question) => void;
}

/** As much of a text as a question shows. */
const SHOWN = 600;

export function Questions({ question, onYes, onNo }: Props) {
  const face = question && faceOf(question);
  return (
    <Modal
      opened={question !== null}
      onClose={() => question && onNo(question)}
      title={face?.title}
      closeButtonProps={{ "aria-label": "Close" }}
      // The terminal takes the keyboard back itself.
      returnFocus={false}
    >
      {question && face && (
        <Stack gap="md">
          {face.body}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={() => onNo(question)}>
              {face.no}
            </Button>
            {question.is === "link" ? (
              <Button
                data-autofocus
                component="a"
                href={question.url.href}
                target="_blank"
                rel="noopener noreferrer"
                onClick={() => onYes(question)}
              >
                {face.yes}
              </Button>
            ) : (
              <Button data-autofocus onClick={() => onYes(question)}>
                {face.yes}
              </Button>
            )}
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

function faceOf(question: Question): { title: string; body: ReactNode; yes: string; no: string } {
  switch (question.is) {
    case "link":
      return {
        title: "Open this address?",
        yes: "Open in a new tab",
        no: "Cancel",
        body: (
          <>
            <Text size="sm">
              It leads to <strong>{question.url.host}</strong>:
            </Text>
            <Group gap={4} wrap="nowrap" align="flex-start">
              <Preview text={question.url.href} />
              <CopyButton text={question.url.href} label="Copy the address" />
            </Group>
          </>
        ),
      };
    case "clipboard":
      return {
        title: "Let the program fill your clipboard?",
        yes: "Allow",
        no: "Refuse",
        body: (
          <>
            <Text size="sm">
              A program in this terminal copies text. Your answer holds for this terminal until you close or
              reload this page. No program can read your clipboard.
            </Text>
            <Preview text={question.text} />
          </>
        ),
      };
    case "paste":
      return {
        title: `Paste ${question.lines} lines?`,
        yes: "Paste",
        no: "Cancel",
        body: (
          <>
            <Text size="sm">
              The program that runs takes each line as if you had typed it, and would run it at once.
            </Text>
            <Preview text={question.text} />
          </>
        ),
      };
  }
}

function Preview({ text }: { text: string }) {
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  return <pre className="terminal-preview code">{shown}</pre>;
}

// What sets a new machine up: a repository, a command, dotfiles; and the script that they make, before it is sent.
import { Button, Code, Collapse, Input, Stack, Textarea, TextInput } from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useState } from "react";
import { composeScript, refuseSetup, type Setup } from "../../domain/first-boot";

interface Props {
  value: Setup;
  onChange: (value: Setup) => void;
  /** Why the API did not take the script. */
  error?: string | undefined;
}

const PLAIN = {
  classNames: { input: "code" },
  autoComplete: "off",
  autoCapitalize: "none",
  spellCheck: false,
};

export function SetupFields({ value, onChange, error }: Props) {
  const [opened, setOpened] = useState(false);
  const refused = refuseSetup(value);
  const script = Object.keys(refused).length === 0 ? composeScript(value) : null;
  const isOpen = opened || !!error;
  const field = (name: keyof Setup) => ({
    ...PLAIN,
    value: value[name],
    onChange: (event: { currentTarget: { value: string } }) =>
      onChange({ ...value, [name]: event.currentTarget.value }),
    error: refused[name],
  });
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
        Set it up
      </Button>
      <Collapse expanded={isOpen}>
        <Stack gap="sm" mt="sm">
          <TextInput
            label="Repository"
            description="Cloned to a folder of its name in the home directory."
            placeholder="https://github.com/acme/api"
            {...field("repository")}
          />
          <Textarea
            label="Setup command"
            description="Run in the repository's folder, or else in the home directory."
            placeholder="npm install"
            autosize
            minRows={1}
            maxRows={8}
            {...field("command")}
          />
          <TextInput
            label="Dotfiles"
            description="A repository whose install.sh is run, or whose dotfiles are linked into the home directory."
            placeholder="https://github.com/ada/dotfiles"
            {...field("dotfiles")}
          />
          {script && (
            <Input.Wrapper
              label="Script"
              labelElement="div"
              description="Run once by bash, as the service first-boot. Members can change it there and run it again."
              error={error}
            >
              <Code block mt={6} mah={220} style={{ overflow: "auto" }} aria-label="Script" tabIndex={0}>
                {script}
              </Code>
            </Input.Wrapper>
          )}
        </Stack>
      </Collapse>
    </div>
  );
}

// The terminal's keys in a popover.
import { ActionIcon, Kbd, Popover, Table, Tooltip } from "@mantine/core";
import { IconKeyboard } from "@tabler/icons-react";
import { TERMINAL_KEYS } from "./keys";

interface Props {
  opened: boolean;
  onChange: (opened: boolean) => void;
}

export function KeysHelp({ opened, onChange }: Props) {
  return (
    <Popover opened={opened} onChange={onChange} position="bottom-end" shadow="md" width={390} trapFocus>
      <Popover.Target>
        <Tooltip label="Keys (Ctrl+Shift+H)" disabled={opened}>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label="Keys"
            className="wide-only"
            onClick={() => onChange(!opened)}
          >
            <IconKeyboard size={17} />
          </ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown aria-label="Keys of the terminal" p="xs">
        <Table verticalSpacing={3} horizontalSpacing={6} withRowBorders={false}>
          <Table.Tbody>
            {TERMINAL_KEYS.map(([keys, meaning]) => (
              <Table.Tr key={meaning}>
                <Table.Td className="nowrap">
                  {keys.map((key) => (
                    <Kbd key={key} size="xs" mr={3}>
                      {key}
                    </Kbd>
                  ))}
                </Table.Td>
                <Table.Td>{meaning}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Popover.Dropdown>
    </Popover>
  );
}

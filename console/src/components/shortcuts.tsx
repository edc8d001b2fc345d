// The keyboard: which keys do what, and the dialog that lists them.
import { Kbd, Modal, Table } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useKey } from "./use-key";

const SHORTCUTS: readonly [string[], string][] = [
  [["?"], "Show these shortcuts"],
  [["c"], "Create a machine (on the list of machines)"],
  [["↑", "↓"], "Move through the machines"],
  [["Enter"], "Open the machine"],
  [["/"], "In a log: search"],
  [["g"], "In a log: to the first line"],
  [["Shift", "G"], "In a log: to the newest line, and follow"],
  [["Ctrl", "Shift", "H"], "In a terminal: show its keys"],
  [["Esc"], "Close a dialog"],
];

export function Shortcuts() {
  const [opened, { open, close }] = useDisclosure();
  useKey("?", open);
  return (
    <Modal
      opened={opened}
      onClose={close}
      title="Keyboard shortcuts"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Table>
        <Table.Tbody>
          {SHORTCUTS.map(([keys, meaning]) => (
            <Table.Tr key={meaning}>
              <Table.Td w={150}>
                {keys.map((key) => (
                  <Kbd key={key} size="xs" mr={4}>
                    {key}
                  </Kbd>
                ))}
              </Table.Td>
              <Table.Td>{meaning}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}

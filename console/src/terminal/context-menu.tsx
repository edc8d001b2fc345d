// The menu under the right mouse button.
import { Menu } from "@mantine/core";
import { IconClipboard, IconCopy, IconDownload, IconSearch, IconSelectAll } from "@tabler/icons-react";

export interface Place {
  x: number;
  y: number;
}

interface Props {
  place: Place | null;
  hasSelection: boolean;
  readOnly: boolean;
  onCopy: () => void;
  onPaste: () => void;
  onSelectAll: () => void;
  onSearch: () => void;
  onDownload: () => void;
  onClose: () => void;
}

export function ContextMenu(props: Props) {
  const { place } = props;
  return (
    <Menu
      opened={place !== null}
      onClose={props.onClose}
      position="bottom-start"
      offset={0}
      width={190}
      returnFocus={false}
    >
      <Menu.Target>
        <span style={{ position: "fixed", left: place?.x ?? 0, top: place?.y ?? 0 }} aria-hidden />
      </Menu.Target>
      <Menu.Dropdown aria-label="Terminal">
        <Menu.Item leftSection={<IconCopy size={15} />} disabled={!props.hasSelection} onClick={props.onCopy}>
          Copy
        </Menu.Item>
        {!props.readOnly && (
          <Menu.Item leftSection={<IconClipboard size={15} />} onClick={props.onPaste}>
            Paste
          </Menu.Item>
        )}
        <Menu.Item leftSection={<IconSelectAll size={15} />} onClick={props.onSelectAll}>
          Select all
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item leftSection={<IconSearch size={15} />} onClick={props.onSearch}>
          Search
        </Menu.Item>
        <Menu.Item leftSection={<IconDownload size={15} />} onClick={props.onDownload}>
          Download transcript
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

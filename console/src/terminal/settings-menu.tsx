// How terminals look, for a click: text size, colours, a mode for screen readers.
import { ActionIcon, Group, Menu, Text } from "@mantine/core";
import { IconAdjustments, IconMinus, IconPlus } from "@tabler/icons-react";
import type { TerminalSettings } from "./settings";
import { FONT_SIZE } from "./settings";
import { isThemeName, THEMES } from "./themes";

interface Props {
  settings: TerminalSettings;
  onChange: (part: Partial<TerminalSettings>) => void;
  onResizeText: (by: number) => void;
}

export function SettingsMenu({ settings, onChange, onResizeText }: Props) {
  const { fontSize, theme, screenReader } = settings;
  return (
    <Menu width={220} closeOnItemClick={false}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label="Terminal settings" title="Terminal settings">
          <IconAdjustments size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Group justify="space-between" px="sm" py={4} wrap="nowrap">
          <Text size="sm">Text size</Text>
          <Group gap={4} wrap="nowrap">
            <ActionIcon
              variant="default"
              size="sm"
              aria-label="Smaller text"
              disabled={fontSize <= FONT_SIZE.least}
              onClick={() => onResizeText(-1)}
            >
              <IconMinus size={13} />
            </ActionIcon>
            <Text size="sm" w={24} ta="center" role="status" aria-label="Text size">
              {fontSize}
            </Text>
            <ActionIcon
              variant="default"
              size="sm"
              aria-label="Larger text"
              disabled={fontSize >= FONT_SIZE.most}
              onClick={() => onResizeText(1)}
            >
              <IconPlus size={13} />
            </ActionIcon>
          </Group>
        </Group>
        <Menu.Divider />
        <Menu.Label>Colors</Menu.Label>
        <Menu.RadioGroup
          value={theme}
          onChange={(name) => {
            if (isThemeName(name)) {
              onChange({ theme: name });
            }
          }}
        >
          {THEMES.map(([name, label]) => (
            <Menu.RadioItem key={name} value={name}>
              {label}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.CheckboxItem
          checked={screenReader}
          onChange={(checked: boolean) => onChange({ screenReader: checked })}
        >
          For screen readers
        </Menu.CheckboxItem>
      </Menu.Dropdown>
    </Menu>
  );
}

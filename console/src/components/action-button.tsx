// Buttons that stay visible when they cannot be used, and say why.
import { ActionIcon, type ActionIconProps, Button, type ButtonProps, Menu, Tooltip } from "@mantine/core";
import type { MouseEvent, ReactNode } from "react";

interface Reasoned {
  /** Why it cannot be used now. */
  refused?: string | null | undefined;
  onClick: () => void;
}

// The attribute instead of the property: a disabled button gets no focus, and could not say its reason.
function guard({ refused, onClick }: Reasoned) {
  return {
    "aria-disabled": refused ? true : undefined,
    "data-disabled": refused ? true : undefined,
    onClick: (event: MouseEvent) => {
      event.stopPropagation();
      if (refused) {
        event.preventDefault();
      } else {
        onClick();
      }
    },
  };
}

export function ActionButton({
  refused,
  onClick,
  children,
  ...rest
}: ButtonProps & Reasoned & { children: ReactNode }) {
  const button = (
    <Button type="button" {...rest} {...guard({ refused, onClick })}>
      {children}
    </Button>
  );
  return refused ? <Tooltip label={refused}>{button}</Tooltip> : button;
}

export function ActionIconButton({
  refused,
  onClick,
  label,
  children,
  ...rest
}: ActionIconProps & Reasoned & { label: string; children: ReactNode }) {
  return (
    <Tooltip label={refused ? `${label}: ${refused}` : label}>
      <ActionIcon
        type="button"
        variant="subtle"
        color="gray"
        aria-label={label}
        {...rest}
        {...guard({ refused, onClick })}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}

export function ActionMenuItem({
  refused,
  onClick,
  icon,
  color,
  children,
}: Reasoned & { icon?: ReactNode; color?: string; children: ReactNode }) {
  const item = (
    <Menu.Item
      leftSection={icon}
      {...(color && !refused ? { color } : {})}
      {...guard({ refused, onClick })}
      closeMenuOnClick={!refused}
    >
      {children}
    </Menu.Item>
  );
  return refused ? (
    <Tooltip label={refused} position="left">
      {item}
    </Tooltip>
  ) : (
    item
  );
}

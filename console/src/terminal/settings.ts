// How terminals look and behave in this browser: remembered here, for all machines.
import { useLocalStorage } from "@mantine/hooks";
import { isThemeName, type ThemeName } from "./themes";

export interface TerminalSettings {
  fontSize: number;
  theme: ThemeName;
  /** For those who have the screen read to them. */
  screenReader: boolean;
}

export const FONT_SIZE = { least: 8, most: 28, usual: 13 };
const USUAL: TerminalSettings = { fontSize: FONT_SIZE.usual, theme: "page", screenReader: false };

function within(size: number): number {
  return Math.min(Math.max(Math.round(size), FONT_SIZE.least), FONT_SIZE.most);
}

/** What is stored may be of another version, or of somebody who plays with it. */
export function readSettings(stored: string | undefined): TerminalSettings {
  let value: Partial<TerminalSettings> = {};
  try {
    value = (JSON.parse(stored ?? "{}") ?? {}) as Partial<TerminalSettings>;
  } catch {
    // Then it is as if nothing were stored.
  }
  return {
    fontSize:
      typeof value.fontSize === "number" && value.fontSize > 0 ? within(value.fontSize) : USUAL.fontSize,
    theme: isThemeName(value.theme) ? value.theme : USUAL.theme,
    screenReader: value.screenReader === true,
  };
}

export function useTerminalSettings() {
  const [settings, set] = useLocalStorage<TerminalSettings>({
    key: "snapvm.terminal",
    defaultValue: USUAL,
    getInitialValueInEffect: false,
    deserialize: readSettings,
  });
  const change = (part: Partial<TerminalSettings>) => set((old) => ({ ...old, ...part }));
  const resizeText = (by: number) => set((old) => ({ ...old, fontSize: within(old.fontSize + by) }));
  const usualText = () => change({ fontSize: FONT_SIZE.usual });
  return { settings, change, resizeText, usualText };
}

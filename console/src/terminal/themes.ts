// Colours of the terminal.
import type { ITheme } from "@xterm/xterm";

const LIGHT: ITheme = {
  background: "#ffffff",
  foreground: "#24292f",
  cursor: "#0f766e",
  cursorAccent: "#ffffff",
  selectionBackground: "#b9e0da",
  scrollbarSliderBackground: "#00000022",
  scrollbarSliderHoverBackground: "#00000044",
  scrollbarSliderActiveBackground: "#00000055",
  black: "#24292f",
  red: "#c4262e",
  green: "#1a7f37",
  yellow: "#8a6100",
  blue: "#0b5cbf",
  magenta: "#8637b8",
  cyan: "#0f7285",
  white: "#6e7781",
  brightBlack: "#57606a",
  brightRed: "#a40e26",
  brightGreen: "#126b2d",
  brightYellow: "#6f4d00",
  brightBlue: "#0a4da3",
  brightMagenta: "#6f2b9b",
  brightCyan: "#0b5c6b",
  brightWhite: "#8c959f",
};

const DARK: ITheme = {
  background: "#141517",
  foreground: "#d5d8dc",
  cursor: "#5eb9ae",
  cursorAccent: "#141517",
  selectionBackground: "#2f5f5a",
  scrollbarSliderBackground: "#ffffff22",
  scrollbarSliderHoverBackground: "#ffffff44",
  scrollbarSliderActiveBackground: "#ffffff55",
  black: "#2b2d31",
  red: "#f07178",
  green: "#7ecf8b",
  yellow: "#e5c07b",
  blue: "#6fb1fc",
  magenta: "#c792ea",
  cyan: "#6bd1d8",
  white: "#c3c8ce",
  brightBlack: "#7d838c",
  brightRed: "#ff8b92",
  brightGreen: "#9be9a8",
  brightYellow: "#f2d48f",
  brightBlue: "#93c6ff",
  brightMagenta: "#dcb3f5",
  brightCyan: "#93e4ea",
  brightWhite: "#ffffff",
};

const COLORS = [
  ..."black red green yellow blue magenta cyan white".split(" "),
  ..."brightBlack brightRed brightGreen brightYellow brightBlue brightMagenta brightCyan brightWhite".split(
    " ",
  ),
];

/** Eight colours and their bright ones, in the order of their codes. */
function palette(normal: string, bright: string): ITheme {
  const values = `${normal} ${bright}`.split(" ");
  return Object.fromEntries(COLORS.map((name, at) => [name, values[at]]));
}

const SOLARIZED = palette(
  "#073642 #dc322f #859900 #b58900 #268bd2 #d33682 #2aa198 #eee8d5",
  "#586e75 #cb4b16 #859900 #b58900 #839496 #6c71c4 #93a1a1 #fdf6e3",
);

const NAMED = {
  light: LIGHT,
  dark: DARK,
  "solarized-light": {
    ...LIGHT,
    ...SOLARIZED,
    background: "#fdf6e3",
    foreground: "#586e75",
    cursor: "#586e75",
    cursorAccent: "#fdf6e3",
    selectionBackground: "#e4dcc2",
  },
  "solarized-dark": {
    ...DARK,
    ...SOLARIZED,
    background: "#002b36",
    foreground: "#93a1a1",
    cursor: "#93a1a1",
    cursorAccent: "#002b36",
    selectionBackground: "#0d4654",
  },
  gruvbox: {
    ...DARK,
    ...palette(
      "#282828 #cc241d #98971a #d79921 #458588 #b16286 #689d6a #a89984",
      "#928374 #fb4934 #b8bb26 #fabd2f #83a598 #d3869b #8ec07c #ebdbb2",
    ),
    background: "#282828",
    foreground: "#ebdbb2",
    cursor: "#ebdbb2",
    cursorAccent: "#282828",
    selectionBackground: "#504945",
  },
  contrast: {
    ...DARK,
    ...palette(
      "#000000 #ff5f5f #5fff5f #ffff5f #7f9fff #ff7fff #5fffff #ffffff",
      "#9e9e9e #ff8787 #87ff87 #ffff87 #afc3ff #ffafff #87ffff #ffffff",
    ),
    background: "#000000",
    foreground: "#ffffff",
    cursor: "#ffff5f",
    cursorAccent: "#000000",
    selectionBackground: "#264f78",
  },
} satisfies Record<string, ITheme>;

export type ThemeName = "page" | keyof typeof NAMED;

/** Names for people, in the order they are offered. `page` is light or dark, as the page is. */
export const THEMES: readonly [ThemeName, string][] = [
  ["page", "As the page"],
  ["light", "Light"],
  ["dark", "Dark"],
  ["solarized-light", "Solarized light"],
  ["solarized-dark", "Solarized dark"],
  ["gruvbox", "Gruvbox"],
  ["contrast", "High contrast"],
];

export function isThemeName(value: unknown): value is ThemeName {
  return THEMES.some(([name]) => name === value);
}

/** The sixteen colours of the page's own theme, in the order of their codes. */
export function ansiColors(pageIsDark: boolean): string[] {
  const theme: Record<string, unknown> = { ...(pageIsDark ? DARK : LIGHT) };
  return COLORS.map((name) => String(theme[name]));
}

export function themeOf(name: ThemeName, pageIsDark: boolean): ITheme {
  return NAMED[name === "page" ? (pageIsDark ? "dark" : "light") : name];
}

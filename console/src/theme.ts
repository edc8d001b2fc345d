// The look: small, calm, one accent colour, system fonts.
import { createTheme, type MantineColorsTuple } from "@mantine/core";

/** Monospaced fonts that systems bring with them. */
export const MONOSPACE =
  'ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';

const teal: MantineColorsTuple = [
  "#e9f8f6",
  "#d6eeeb",
  "#aedcd6",
  "#82c9c0",
  "#5eb9ae",
  "#47afa2",
  "#2f9d90",
  "#1f877b",
  "#0f766e",
  "#0a5f59",
];

export const theme = createTheme({
  primaryColor: "teal",
  primaryShade: { light: 8, dark: 7 },
  colors: { teal },
  autoContrast: true,
  defaultRadius: "sm",
  cursorType: "pointer",
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif',
  fontFamilyMonospace: MONOSPACE,
  headings: {
    fontWeight: "600",
    sizes: { h1: { fontSize: "1.25rem" }, h2: { fontSize: "1.05rem" }, h3: { fontSize: "0.95rem" } },
  },
  components: {
    Button: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "sm" } },
    Table: { defaultProps: { verticalSpacing: 6, horizontalSpacing: "sm" } },
    Modal: {
      defaultProps: {
        centered: true,
        overlayProps: { backgroundOpacity: 0.35 },
        transitionProps: { duration: 80 },
      },
    },
    Menu: { defaultProps: { shadow: "md", transitionProps: { duration: 60 }, position: "bottom-end" } },
    Tooltip: {
      defaultProps: {
        openDelay: 250,
        multiline: true,
        maw: 320,
        events: { hover: true, focus: true, touch: true },
      },
    },
    Badge: { styles: { root: { textTransform: "none" } } },
    Anchor: { defaultProps: { underline: "hover" } },
  },
});

// The user documentation: docs/user/*.md of the repository, taken in at build time.

const FILES = import.meta.glob<string>("../../../../docs/user/*.md", {
  eager: true,
  query: "?raw",
  import: "default",
});

/** The order of reading. Files that are not named here come after these. */
const ORDER = [
  "overview",
  "quickstart",
  "terminals",
  "working-with-snapvm",
  "machines",
  "services",
  "checkpoints",
  "variables",
  "http-api",
];

export interface DocsPage {
  id: string;
  title: string;
  text: string;
}

function place(id: string): number {
  const at = ORDER.indexOf(id);
  return at < 0 ? ORDER.length : at;
}

export const PAGES: readonly DocsPage[] = Object.entries(FILES)
  .map(([path, text]) => {
    const id = path.replace(/^.*\//, "").replace(/\.md$/, "");
    return { id, text, title: /^#\s+(.+)$/m.exec(text)?.[1] ?? id };
  })
  .sort((a, b) => place(a.id) - place(b.id) || a.id.localeCompare(b.id));

// Names that people choose: the rules of protocol/src/names.rs and src/domain/fields.rs, so that a bad name is refused
// as it is typed. The API decides all the same.

export const RESERVED: readonly string[] = [
  "admin",
  "agent",
  "api",
  "app",
  "apps",
  "assets",
  "auth",
  "billing",
  "code",
  "console",
  "dial",
  "docs",
  "help",
  "internal",
  "login",
  "mail",
  "new",
  "root",
  "settings",
  "signin",
  "signup",
  "snapvm",
  "static",
  "status",
  "support",
  "system",
  "v1",
  "www",
];

export const MACHINE_NAME_MAX = 30;
export const ORG_SLUG_MAX = 24;
const SERVICE_NAME = /^[a-z0-9][a-z0-9_.-]{0,62}$/;

function refuseName(text: string, longest: number): string | null {
  if (text === "") return "is required";
  if (text.length > longest) return `is too long: at most ${longest} characters`;
  if (!/^[a-z0-9-]+$/.test(text)) return "may contain only a to z, 0 to 9 and hyphens";
  if (!/^[a-z]/.test(text)) return "must start with a letter from a to z";
  if (text.endsWith("-")) return "must not end with a hyphen";
  if (text.includes("--")) return "must not contain two hyphens in a row";
  if (RESERVED.includes(text)) return "is reserved: choose another name";
  return null;
}

/** Why a machine cannot have this name; `null` when it can. */
export function refuseMachineName(text: string): string | null {
  const reason = refuseName(text, MACHINE_NAME_MAX);
  return reason && `A machine's name ${reason}.`;
}

/** Why an organization cannot have this slug; `null` when it can. */
export function refuseOrgSlug(text: string): string | null {
  const reason = refuseName(text, ORG_SLUG_MAX);
  return reason && `An organization's slug ${reason}.`;
}

/** Why a service cannot have this name; `null` when it can. */
export function refuseServiceName(text: string): string | null {
  return SERVICE_NAME.test(text)
    ? null
    : "A service's name starts with a letter or digit, has a to z, 0 to 9, and _ . - in it, and at most 63 characters.";
}

/** Why an app cannot have this port; `null` when it can. */
export function refusePort(port: number): string | null {
  return Number.isInteger(port) && port >= 1024 && port <= 65535 && port !== 8080
    ? null
    : "A port is a number from 1024 to 65535, other than 8080, which is the agent's.";
}

/** A slug that a name suggests. */
export function suggestSlug(name: string): string {
  return name
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, ORG_SLUG_MAX)
    .replace(/-+$/, "");
}

// Variables of a machine: the rules of protocol/src/variables.rs, so that what the API would refuse is said as it is
// typed. The API decides all the same.

export const VARIABLES_MAX = 100;
export const VALUE_MAX = 32 * 1024;

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** Names that belong to the user, the shell or the terminal. */
export const RESERVED_VARIABLES: readonly string[] = [
  "COLORTERM",
  "HOME",
  "LOGNAME",
  "OLDPWD",
  "PATH",
  "PWD",
  "SHELL",
  "SHLVL",
  "TERM",
  "TERM_PROGRAM",
  "USER",
  "XDG_RUNTIME_DIR",
  "_",
];

/** Why a variable cannot have this name; `null` when it can. */
export function refuseVariableName(name: string): string | null {
  if (!NAME.test(name)) {
    return "A variable's name starts with a letter or _, has letters, digits and _ in it, and at most 128 characters.";
  }
  if (name.startsWith("SNAPVM_")) {
    return "Names that start with SNAPVM_ are SnapVM's own.";
  }
  return RESERVED_VARIABLES.includes(name)
    ? "This name belongs to the user, the shell or the terminal, which set it themselves."
    : null;
}

/** Why a variable cannot have this value; `null` when it can. */
export function refuseVariableValue(value: string): string | null {
  if (value.includes("\0")) return "A value must not contain NUL characters.";
  return new TextEncoder().encode(value).length > VALUE_MAX ? "A value has at most 32 KiB." : null;
}

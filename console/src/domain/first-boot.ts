// A machine's first boot: the script that a few fields make, and how it went, in words.
import type { Machine, Service } from "../api/schema";
import { duration } from "./time";

/** Name of the service that sets a machine up. */
export const FIRST_BOOT = "first-boot";
/** Longest script, in bytes. */
const SCRIPT_MAX = 30 * 1024;
/** For how long a setup that went well is news. */
const NEWS_MS = 3_600_000;

export interface Setup {
  /** Where files are cloned from, to a folder of its name in the home directory. */
  repository: string;
  /** Commands, run in the repository's folder where there is one. */
  command: string;
  /** Where dotfiles are cloned from. */
  dotfiles: string;
}

// Nothing in an accepted address means anything to a shell, and none begins with a hyphen.
const PART = "[A-Za-z0-9._~%+-]+";
const HOST = "[A-Za-z0-9][A-Za-z0-9.-]*";
const HTTPS = new RegExp(`^https://${HOST}(:[0-9]{1,5})?(/${PART})+/?$`);
const SSH = new RegExp(`^ssh://([A-Za-z0-9][A-Za-z0-9._-]*@)?${HOST}(:[0-9]{1,5})?(/${PART})+/?$`);
const SCP = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]*@${HOST}:/?[A-Za-z0-9._~%+]${"[A-Za-z0-9._~%+/-]*"}$`);

/** Why an address of a repository cannot be accepted. */
export function refuseRepository(address: string): string | null {
  if (/^https:\/\/[^/]*@/.test(address)) {
    return "Leave the credentials out: everybody in the organization can read the script.";
  }
  if (![HTTPS, SSH, SCP].some((form) => form.test(address))) {
    return "This is an address like https://github.com/acme/api or git@github.com:acme/api.git.";
  }
  return folderOf(address) === null ? "The address does not end with a name for a folder." : null;
}

/** The folder that a repository is cloned to, in the home directory. */
export function folderOf(address: string): string | null {
  const last = address.replace(/\/+$/, "").split(/[/:]/).at(-1) ?? "";
  const name = last.replace(/\.git$/, "");
  return /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name) ? name : null;
}

const HEAD = `set -eu
# Nobody is there to be asked for a password.
export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND='ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new'`;

// With a program of its own for that, or by links; what is a folder in the home directory stays.
const INSTALL = `if [ -x install.sh ]; then
  ./install.sh
else
  for file in .[!.]*; do
    case $file in .git | .github | .gitignore | .gitmodules) continue ;; esac
    [ -e "$file" ] || continue
    if [ -d ~/"$file" ] && [ ! -L ~/"$file" ]; then
      echo "left as it is: ~/$file"
    else
      ln -sfn "$PWD/$file" ~/"$file"
    fi
  done
fi`;

/** The script; `null` where nothing is to be done. What was done before stays, so that it can run again. */
export function composeScript(setup: Setup): string | null {
  const [repository, command, dotfiles] = [setup.repository, setup.command, setup.dotfiles].map((text) =>
    text.replaceAll("\r\n", "\n").trim(),
  ) as [string, string, string];
  const parts: string[] = [];
  if (dotfiles) {
    parts.push(`# Dotfiles\n${clone(dotfiles, ".dotfiles")}\n${INSTALL}`);
  }
  if (repository) {
    parts.push(`# Repository\n${clone(repository, folderOf(repository) ?? "repository")}`);
  } else if (dotfiles && command) {
    parts.push("cd ~");
  }
  if (command) {
    parts.push(`# Setup\n${command}`);
  }
  return parts.length > 0 ? `${[HEAD, ...parts].join("\n\n")}\n` : null;
}

function clone(address: string, folder: string): string {
  return `[ -e ~/${folder}/.git ] || git clone -- '${address}' ~/${folder}\ncd ~/${folder}`;
}

/** Why a setup cannot be accepted, by field; an empty record when it can. */
export function refuseSetup(setup: Setup): Partial<Record<keyof Setup, string>> {
  const refused: Partial<Record<keyof Setup, string>> = {};
  for (const field of ["repository", "dotfiles"] as const) {
    const address = setup[field].trim();
    const why = address === "" ? null : refuseRepository(address);
    if (why) {
      refused[field] = why;
    }
  }
  const script = Object.keys(refused).length === 0 ? composeScript(setup) : null;
  if (script && new TextEncoder().encode(script).length > SCRIPT_MAX) {
    refused.command = "The script is too long: at most 30 KiB.";
  }
  return refused;
}

export interface SetupLook {
  text: string;
  color: "blue" | "teal" | "red" | "gray";
  unfinished: boolean;
}

/** How a first boot goes or went; `null` where nobody needs to know. */
export function setupLook(service: Service, machine: Machine["state"], now: number): SetupLook | null {
  const { status } = service;
  const asleep = machine !== "running";
  if (!service.once) return null;
  if (!status) return { text: "Setup not begun yet", color: "gray", unfinished: true };
  const newest = status.exits?.[0];
  switch (status.state) {
    case "starting":
    case "running":
    case "stopping":
      return asleep
        ? { text: "Setup was under way", color: "gray", unfinished: true }
        : { text: "Setting up…", color: "blue", unfinished: true };
    case "failed":
      return { text: failure(status.error ?? ""), color: "red", unfinished: false };
    case "stopped":
      if (!status.ready) {
        return { text: "Setup was stopped", color: "gray", unfinished: false };
      }
      return newest && now - Date.parse(newest.at) < NEWS_MS
        ? {
            text: `Set up in ${duration(Math.max(Math.round(newest.ran_ms / 1000), 1))}`,
            color: "teal",
            unfinished: false,
          }
        : null;
  }
}

function failure(error: string): string {
  const code = /^exited with code (-?\d+)$/.exec(error)?.[1];
  if (code) return `Setup failed (exit ${code})`;
  return error.startsWith("interrupted") ? "Setup was interrupted" : `Setup failed: ${error}`;
}

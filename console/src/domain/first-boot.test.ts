import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Service, ServiceStatus } from "../api/schema";
import { composeScript, FIRST_BOOT, folderOf, refuseRepository, refuseSetup, setupLook } from "./first-boot";

const NOTHING = { repository: "", command: "", dotfiles: "" };

describe("an address", () => {
  it.each([
    ["https://github.com/acme/api", "api"],
    ["https://git.acme.test:8443/team/sub/my-app.git/", "my-app"],
    ["ssh://git@github.com:22/acme/api.git", "api"],
    ["git@github.com:acme/api.git", "api"],
    ["git@host:~ada/notes", "notes"],
  ])("%s is accepted", (address, folder) => {
    expect(refuseRepository(address)).toBeNull();
    expect(folderOf(address)).toBe(folder);
  });

  it.each([
    "github.com/acme/api",
    "http://github.com/acme/api",
    "file:///etc",
    "ext::sh -c touch% /tmp/x",
    "https://github.com/acme/api'; touch /tmp/x; '",
    "https://github.com/acme/$(id)",
    "https://github.com/acme/api\ntouch /tmp/x",
    "https://-oProxyCommand=x/acme/api",
    "https://github.com/acme/..",
    "https://github.com/acme/-api",
    "https://github.com/acme/.git",
    "https://github.com",
    "git@-oProxyCommand=x:acme/api",
    "-u@host:acme/api",
    "git@host:-acme",
    "ssh://-oProxyCommand=x/acme",
    "--upload-pack=x",
    "https://github.com/acme/api?x",
    "https://github.com/acme/api#x",
  ])("%j is refused", (address) => {
    expect(refuseRepository(address)).not.toBeNull();
    expect(refuseSetup({ ...NOTHING, dotfiles: address })).toHaveProperty("dotfiles");
  });

  it("with credentials is refused in words of its own", () => {
    expect(refuseRepository("https://ada:hunter2@github.com/acme/api")).toContain("credentials");
  });
});

describe("the script", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "first-boot-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const git = (at: string, ...args: string[]) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b.test", ...args], {
      cwd: at,
      stdio: "pipe",
    });

  function repository(name: string, files: Record<string, string>) {
    const at = join(folder, "remote", name);
    mkdirSync(at, { recursive: true });
    git(at, "init", "--quiet");
    for (const [file, text] of Object.entries(files)) {
      writeFileSync(join(at, file), text, { mode: 0o755 });
    }
    git(at, "add", "--all");
    git(at, "commit", "--quiet", "--message=first");
  }

  /** Runs it as the machine does, with addresses of acme.test standing for folders here. */
  function run(script: string | null): string {
    const home = join(folder, "home");
    mkdirSync(home, { recursive: true });
    return execFileSync("bash", ["-c", script ?? "", FIRST_BOOT], {
      cwd: home,
      env: {
        PATH: process.env.PATH,
        HOME: home,
        GIT_CONFIG_COUNT: "1",
        GIT_CONFIG_KEY_0: `url.file://${join(folder, "remote")}/.insteadOf`,
        GIT_CONFIG_VALUE_0: "https://acme.test/",
      },
      encoding: "utf8",
      stdio: "pipe",
    });
  }

  it("is none where nothing is to be done", () => {
    expect(composeScript(NOTHING)).toBeNull();
    expect(composeScript({ ...NOTHING, command: " \n" })).toBeNull();
    expect(refuseSetup(NOTHING)).toEqual({});
  });

  it("clones, links dotfiles, runs the command in the repository, and may run again", () => {
    repository("api", { "package.json": "{}" });
    repository("dots", { ".vimrc": "set number\n", ".gitignore": "x\n" });
    const setup = {
      repository: "https://acme.test/api",
      dotfiles: " https://acme.test/dots ",
      command: 'echo "in $PWD"\r\ntouch set-up\r\n',
    };
    expect(refuseSetup(setup)).toEqual({});
    const home = join(folder, "home");
    for (const _ of [1, 2]) {
      expect(run(composeScript(setup))).toContain(`in ${home}/api`);
    }
    expect(existsSync(join(home, "api/set-up"))).toBe(true);
    expect(readFileSync(join(home, ".vimrc"), "utf8")).toBe("set number\n");
    expect(lstatSync(join(home, ".vimrc")).isSymbolicLink()).toBe(true);
    expect(existsSync(join(home, ".gitignore"))).toBe(false);
  });

  it("leaves dotfiles to their own program, and ends where something fails", () => {
    repository("dots", { "install.sh": "#!/bin/sh\ntouch ~/installed\n" });
    const dotfiles = "https://acme.test/dots";
    expect(() =>
      run(composeScript({ ...NOTHING, dotfiles, command: "pwd\nfalse\ntouch too-far" })),
    ).toThrow();
    const home = join(folder, "home");
    expect(existsSync(join(home, "installed"))).toBe(true);
    expect(existsSync(join(home, "too-far"))).toBe(false);
    expect(() => run(composeScript({ ...NOTHING, repository: "https://acme.test/none" }))).toThrow();
  });

  it("has an end", () => {
    expect(refuseSetup({ ...NOTHING, command: "é".repeat(15_400) })).toHaveProperty("command");
  });
});

describe("how it went", () => {
  const NOW = Date.parse("2026-01-01T12:00:00Z");
  const exit = { at: "2026-01-01T11:59:00.000Z", ran_ms: 34_000, code: 0, ordered: false };
  const look = (
    status: Partial<ServiceStatus> | null,
    machine: "running" | "hibernated" = "running",
    now = NOW,
  ) =>
    setupLook(
      {
        name: FIRST_BOOT,
        command: "bash",
        once: true,
        desired: "up",
        status: status && { name: FIRST_BOOT, ...status },
      } as Service,
      machine,
      now,
    )?.text ?? null;

  it("is said in few words", () => {
    expect(look(null)).toBe("Setup not begun yet");
    expect(look({ state: "running" })).toBe("Setting up…");
    expect(look({ state: "running" }, "hibernated")).toBe("Setup was under way");
    expect(look({ state: "stopped", ready: true, exits: [exit] })).toBe("Set up in 34 s");
    expect(look({ state: "stopped", ready: true, exits: [exit] }, "running", NOW + 3_600_000)).toBeNull();
    expect(look({ state: "stopped", exits: [{ ...exit, ordered: true }] })).toBe("Setup was stopped");
    expect(look({ state: "failed", error: "exited with code 3" })).toBe("Setup failed (exit 3)");
    expect(look({ state: "failed", error: "interrupted: the machine stopped" })).toBe(
      "Setup was interrupted",
    );
    expect(look({ state: "failed", error: "killed by signal 9" })).toBe("Setup failed: killed by signal 9");
  });
});

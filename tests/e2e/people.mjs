// What people do in the console, by the words it shows to them.
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { CONSOLE, check, PATIENCE, until } from "./browser.mjs";

export const PASSWORD = "correct horse battery";

/** A word that nobody had before. */
export function word() {
  return `w${randomBytes(4).toString("hex")}`;
}

/** The organization that a page is about. */
export function orgOf(page) {
  const found = /\/orgs\/([^/?#]+)/.exec(new URL(page.url()).pathname);
  check(found, `${page.url()} is not a page of an organization`);
  return found[1];
}

/** Signs up and arrives at the first organization's machines; answers with the account. */
export async function signUp(page, name) {
  const email = `${word()}@example.com`;
  await page.goto(`${CONSOLE}/signup`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel(/^Password/).fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Machines", exact: true }).waitFor();
  return { email, name, org: orgOf(page) };
}

export async function signIn(page, email) {
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel(/^Password/).fill(PASSWORD);
  await page.keyboard.press("Enter");
}

/** Goes to a part of a machine with its tab, as a person does who is there already. */
export async function part(page, label) {
  await page.getByRole("tab", { name: label, exact: true }).first().click();
}

/** Creates a machine from the list, with the keyboard alone, and arrives at its page. */
export async function createMachine(page, name) {
  await page.getByRole("heading", { name: "Machines", exact: true }).waitFor();
  await page.getByRole("button", { name: "Create machine" }).first().waitFor();
  await page.keyboard.press("c");
  const dialog = page.getByRole("dialog", { name: "Create machine" });
  await dialog.locator("input:focus").waitFor();
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name, exact: true }).waitFor();
}

function stateOf(page) {
  return page.getByRole("status", { name: "State" });
}

export async function untilState(page, word, patience = PATIENCE) {
  const state = stateOf(page);
  try {
    await state.filter({ hasText: new RegExp(`^${word}$`) }).waitFor({ timeout: patience });
  } catch {
    throw new Error(`the machine is not ${word}: ${await state.innerText().catch(() => "no state is shown")}`);
  }
}

/** Writes down every state that is shown from now on; ask the answer for them. */
export async function watchStates(page) {
  await stateOf(page).waitFor();
  await stateOf(page).evaluate((element) => {
    const seen = [element.textContent];
    window.statesSeen = seen;
    new MutationObserver(() => {
      if (seen.at(-1) !== element.textContent) {
        seen.push(element.textContent);
      }
    }).observe(element, { subtree: true, childList: true, characterData: true });
  });
  return () => page.evaluate(() => window.statesSeen);
}

/** Presses Hibernate and waits until it is so. */
export async function hibernate(page) {
  const seen = await watchStates(page);
  await page.getByRole("button", { name: "Hibernate" }).click();
  await untilState(page, "Hibernated", 60_000);
  const states = await seen();
  check(states.includes("Hibernating"), `Hibernating was not shown before Hibernated: ${states.join(", ")}`);
}

/** The id of the machine whose page this is. */
export async function machineId(page) {
  await part(page, "Settings");
  return page.getByRole("row").filter({ hasText: /^Id/ }).getByRole("cell").last().innerText();
}

/** The terminal that has the keyboard. */
export function terminal(page) {
  return page.locator(".machine-terminals [role=tabpanel][data-active]:visible");
}

/** Opens a new terminal and waits for its prompt. */
export async function newTerminal(page) {
  await toAnother(page, () => page.getByRole("button", { name: "New terminal" }).first().click());
  await reads(page, /[$#]\s*$/);
}

/** Does what gives another terminal the keyboard, and waits until that one is there and connected: the one before it is
 * until then. */
export async function toAnother(page, how) {
  const before = await terminal(page).evaluateAll((panels) => panels.map((panel) => panel.dataset.terminal));
  await how();
  await until("another terminal has the keyboard", async () => {
    const now = await terminal(page).evaluateAll((panels) => panels.map((panel) => panel.dataset.terminal));
    return now.length === 1 && !before.includes(now[0]);
  });
  await live(page);
}

/** Waits until the shown terminal is connected to its shell. */
export async function live(page, patience = PATIENCE) {
  try {
    await page.locator(".machine-terminals [role=tabpanel][data-active][data-status=live]:visible").waitFor({ timeout: patience });
  } catch {
    throw new Error(`the terminal is not connected:\n${await terminal(page).innerText().catch(() => "none is shown")}`);
  }
}

/** The rows of the screen, as they are drawn. */
export async function screen(page) {
  const rows = await terminal(page).locator(".xterm-rows > div").allTextContents();
  return rows.map((row) => row.replaceAll("\u00a0", " ").trimEnd()).join("\n").trimEnd();
}

/** Waits until the terminal shows this. */
export async function reads(page, pattern, patience = PATIENCE) {
  try {
    await page.waitForFunction(
      ([source, flags]) => {
        const panel = document.querySelector(".machine-terminals [role=tabpanel][data-active]");
        const rows = [...(panel?.querySelectorAll(".xterm-rows > div") ?? [])];
        const text = rows.map((row) => row.textContent.replaceAll("\u00a0", " ").trimEnd()).join("\n");
        return new RegExp(source, flags).test(text.trimEnd());
      },
      [pattern.source, pattern.flags],
      { timeout: patience, polling: 50 },
    );
  } catch {
    throw new Error(`the terminal does not show ${pattern}, but:\n${await screen(page).catch(() => "nothing")}`);
  }
}

/** Waits for what is said over the terminal. */
export async function says(page, text, patience = PATIENCE) {
  try {
    await terminal(page).getByRole("status").filter({ hasText: text }).first().waitFor({ timeout: patience });
  } catch {
    throw new Error(`the terminal does not say ${text}, but:\n${await terminal(page).innerText().catch(() => "nothing")}`);
  }
}

/** What the downloaded transcript of the terminal says. */
export async function transcript(page) {
  await page.getByRole("button", { name: "More", exact: true }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("menuitem", { name: "Download transcript" }).click(),
  ]);
  return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
}

/** Types a line with the keyboard, as into any window that has the focus. */
export async function type(page, line) {
  await terminal(page).getByRole("textbox", { name: "Terminal input" }).focus();
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
}

/** The address of an app of a machine. */
export function appUrl(org, machine, port) {
  const { host } = new URL(CONSOLE);
  return `http://${port}--${machine}--${org}.apps.${host}/`;
}

/** Waits for a service's state in the table of services. */
export async function untilService(page, name, state, patience = PATIENCE) {
  const row = page.getByRole("table", { name: "Services" }).getByRole("row").filter({ hasText: name });
  try {
    await row.filter({ hasText: state }).waitFor({ timeout: patience });
  } catch {
    throw new Error(`the service ${name} is not ${state}: ${await row.innerText().catch(() => "it is not there")}`);
  }
}

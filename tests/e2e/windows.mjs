// What surrounds a terminal: questions before links, clipboard and pastes; a split; text size and colours; renaming; a
// second window and a second person; a phone.
import { CONSOLE, check, picture, script, until } from "./browser.mjs";
import {
  createMachine,
  live,
  newTerminal,
  reads,
  says,
  screen,
  signUp,
  terminal,
  toAnother,
  type,
  untilState,
} from "./people.mjs";

const MACHINE = "windows";

/** Columns and rows that the emulator draws. */
async function drawn(page) {
  const rows = terminal(page).locator(".xterm-rows > div");
  return { rows: await rows.count(), width: (await terminal(page).locator(".xterm-screen").boundingBox()).width };
}

let asked = 0;

/** What the shell says its size is. */
async function sizeInside(page) {
  asked += 1;
  await type(page, `clear; echo "size ${asked}: $(stty size)"`);
  const answer = new RegExp(`^size ${asked}: (\\d+) (\\d+)$`, "m");
  const [, rows, columns] = await until("the shell says its size", async () => answer.exec(await screen(page)));
  return { rows: Number(rows), columns: Number(columns) };
}

/** Points at the start of a row, and presses there. */
async function clickRow(page, pattern, options = {}) {
  const box = await terminal(page).locator(".xterm-rows > div").filter({ hasText: pattern }).first().boundingBox();
  const [x, y] = [box.x + 20, box.y + box.height / 2];
  // A link is looked for when the mouse comes to its row.
  await page.mouse.move(x, y + 5 * box.height);
  await page.mouse.move(x, y);
  await page.mouse.click(x, y, options);
}

const panes = (page) => page.locator(".machine-terminals [role=tabpanel]:visible");

await script("windows", async ({ person, step }) => {
  const ada = await person("ada", { permissions: ["clipboard-read", "clipboard-write"] });
  const page = await ada.context.newPage();
  const { org } = await step("opens a terminal", async () => {
    const account = await signUp(page, "Ada Lovelace");
    await createMachine(page, MACHINE);
    await untilState(page, "Running", 60_000);
    await newTerminal(page);
    await type(page, "PS1='$ '; clear");
    return account;
  });

  await step("is asked before a link is followed, and shown where it leads", async () => {
    const target = `${CONSOLE}/docs/overview`;
    await type(page, `clear; printf '\\e]8;;${target}\\e\\\\harmless-text\\e]8;;\\e\\\\\\n'`);
    await reads(page, /^harmless-text$/m);
    await clickRow(page, /^harmless-text/);
    const dialog = page.getByRole("dialog", { name: "Open this address?" });
    await dialog.getByText(target).waitFor();
    await picture(page, "windows-link");
    const [other] = await Promise.all([
      ada.context.waitForEvent("page"),
      dialog.getByRole("link", { name: "Open in a new tab" }).click(),
    ]);
    await other.waitForURL(target);
    check((await other.evaluate(() => window.opener)) === null, "the opened page can reach the console's window");
    await other.close();
    await dialog.waitFor({ state: "hidden" });
  });

  await step("follows no link that leads elsewhere than to the web", async () => {
    await type(page, "clear; printf '\\e]8;;file:///etc/passwd\\e\\\\elsewhere\\e]8;;\\e\\\\\\n'");
    await reads(page, /^elsewhere$/m);
    await clickRow(page, /^elsewhere/);
    check((await page.getByRole("dialog").count()) === 0, "a link to a file is offered");
  });

  await step("a program fills the clipboard when it may, is asked for once, and never reads it", async () => {
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    await page.evaluate(() => navigator.clipboard.writeText("mine"));
    const copy = (text) => type(page, `clear; printf '\\e]52;c;%s\\a' $(printf ${text} | base64)`);
    await copy("theirs");
    const dialog = page.getByRole("dialog", { name: "Let the program fill your clipboard?" });
    await dialog.getByText("theirs").waitFor();
    check((await clipboard()) === "mine", "the clipboard was filled before anybody agreed");
    await dialog.getByRole("button", { name: "Allow" }).click();
    await until("the clipboard is filled", async () => (await clipboard()) === "theirs");
    await copy("again");
    await until("the clipboard is filled without a question", async () => (await clipboard()) === "again");
    await type(page, "clear; printf '\\e]52;c;?\\a'; sleep 0.3; echo done-$((3*3))");
    await reads(page, /^done-9$/m);
    check(!(await screen(page)).includes("YWdhaW4"), "a program has read the clipboard");
  });

  await step("asks before it pastes lines that would run at once", async () => {
    await type(page, "clear; printf '\\e[?2004l'; echo ready-$((1+1)); cat");
    await reads(page, /^ready-2$/m);
    await page.evaluate(() => navigator.clipboard.writeText("one-a\none-b\n"));
    await page.keyboard.press("Control+Shift+v");
    const dialog = page.getByRole("dialog", { name: "Paste 2 lines?" });
    await dialog.getByText("one-b").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "hidden" });
    check(!(await screen(page)).includes("one-a"), "the lines were pasted without an answer");
    await terminal(page).locator("textarea:focus").waitFor({ state: "attached" });
    await page.keyboard.press("Control+Shift+v");
    await dialog.getByRole("button", { name: "Paste", exact: true }).click();
    await reads(page, /^one-b$/m);
    await terminal(page).locator("textarea:focus").waitFor({ state: "attached" });
    await page.keyboard.press("Control+d");
    await reads(page, /^\$$/m);
  });

  await step("copies and pastes with the right mouse button", async () => {
    await type(page, "clear; echo copy-me");
    await reads(page, /^copy-me$/m);
    await clickRow(page, /^copy-me/, { clickCount: 2 });
    await clickRow(page, /^copy-me/, { button: "right" });
    await picture(page, "windows-menu");
    await page.getByRole("menuitem", { name: "Copy" }).click();
    await until("it is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())).startsWith("copy"));
    await terminal(page).locator(".xterm-screen").click({ button: "right" });
    await page.getByRole("menuitem", { name: "Paste" }).click();
    await reads(page, /^\$ copy/m);
    await page.keyboard.press("Control+u");
  });

  await step("makes the text larger and usual again; the shell knows its size", async () => {
    const before = await sizeInside(page);
    for (let press = 0; press < 5; press++) {
      await page.keyboard.press("Control+=");
    }
    await until("there are fewer columns", async () => (await sizeInside(page)).columns < before.columns * 0.85);
    await page.reload();
    await live(page);
    const larger = await sizeInside(page);
    check(larger.columns < before.columns * 0.85, `the size of the text is forgotten: ${larger.columns} columns`);
    await page.keyboard.press("Control+0");
    // A column more or less is how the emulator rounds.
    await until("the text is usual", async () => Math.abs((await sizeInside(page)).columns - before.columns) <= 1);
  });

  await step("chooses colours", async () => {
    await page.getByRole("button", { name: "Terminal settings" }).click();
    await picture(page, "windows-settings");
    await page.getByRole("menuitemradio", { name: "Solarized dark" }).click();
    await until("they are there", async () => (await terminal(page).evaluate((panel) => panel.style.background)).includes("0, 43, 54"));
    await page.getByRole("menuitemradio", { name: "As the page" }).click();
    await page.keyboard.press("Escape");
  });

  await step("lists the keys", async () => {
    await terminal(page).locator(".xterm-screen").click();
    await page.keyboard.press("Control+Shift+h");
    await page.getByText("Split side by side, or undo it").waitFor();
    await picture(page, "windows-keys");
    await page.keyboard.press("Escape");
    await page.getByText("Split side by side, or undo it").waitFor({ state: "hidden" });
  });

  await step("splits: two shells, each with its own keyboard and size", async () => {
    await terminal(page).locator(".xterm-screen").click();
    await page.keyboard.press("Control+Shift+e");
    await until("there are two panes", async () => (await panes(page).count()) === 2);
    await page.getByRole("tab", { name: "Terminal 2" }).waitFor();
    await toAnother(page, () => page.keyboard.press("Control+Shift+x"));
    await type(page, "PS1='> '; clear; echo second-$((2*4))");
    await reads(page, /^second-8$/m);
    const half = await sizeInside(page);
    await toAnother(page, () => page.keyboard.press("Control+Shift+x"));
    await type(page, "clear; echo first-$((2*5))");
    await reads(page, /^first-10$/m);
    await picture(page, "windows-split");
    await page.keyboard.press("Control+Shift+o");
    await until("they are above each other", async () => {
      const [one, two] = await Promise.all([panes(page).first().boundingBox(), panes(page).last().boundingBox()]);
      return one.x === two.x && one.y !== two.y;
    });
    await until("the shell is wider", async () => (await sizeInside(page)).columns > half.columns * 1.5);
    await page.reload();
    await live(page);
    check((await panes(page).count()) === 2, "the split is forgotten");
    await page.getByRole("button", { name: "One pane" }).click();
    await until("there is one pane", async () => (await panes(page).count()) === 1);
  });

  await step("renames a tab", async () => {
    const tab = page.getByRole("tab", { name: "Terminal 2" });
    await tab.dblclick();
    await page.getByLabel("New name of Terminal 2").fill("logs");
    await page.keyboard.press("Enter");
    await page.getByRole("tab", { name: "logs" }).waitFor();
    await page.reload();
    await page.getByRole("tab", { name: "logs" }).waitFor();
    await live(page);
    const first = page.getByRole("tablist", { name: "Terminals" }).getByRole("tab", { name: "Terminal", exact: true });
    await toAnother(page, () => first.click());
  });

  await step("a tab names what runs in it, and only then is closing it a question", async () => {
    const tabs = page.getByRole("tablist", { name: "Terminals" });
    await type(page, "clear; sleep 86400");
    await tabs.getByRole("tab", { name: "Terminal sleep", exact: true }).waitFor();
    await picture(page, "windows-foreground");
    await page.getByRole("button", { name: "Close Terminal", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Close Terminal?" });
    await dialog.getByText("sleep runs in it").waitFor();
    await picture(page, "windows-close");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "hidden" });
    await terminal(page).locator(".xterm-screen").click();
    await page.keyboard.press("Control+c");
    await tabs.getByRole("tab", { name: "Terminal", exact: true }).waitFor();
    await newTerminal(page);
    await tabs.getByRole("tab", { name: "Terminal 2" }).waitFor();
    await page.getByRole("button", { name: "More", exact: true }).click();
    // Its name says when it is known that nothing runs.
    await page.getByRole("menuitem", { name: "End session", exact: true }).click();
    await tabs.getByRole("tab", { name: "Terminal 2" }).waitFor({ state: "detached" });
    check((await page.getByRole("dialog").count()) === 0, "closing a shell that waits for a command is a question");
    await tabs.getByRole("tab", { name: "Terminal", exact: true }).click();
    await tabs.getByRole("tab", { name: "Terminal", exact: true, selected: true }).waitFor();
    await live(page);
  });

  await step("a second window takes the size, and the first gets it back with a click", async () => {
    const other = await ada.context.newPage();
    await other.setViewportSize({ width: 820, height: 560 });
    await other.goto(page.url());
    await live(other);
    await type(other, "clear; echo smaller");
    await terminal(page).filter({ hasText: "sized by another window" }).waitFor();
    const theirs = await until("both windows draw the same rows", async () => {
      const [mine, small] = [await drawn(page), await drawn(other)];
      return mine.rows === small.rows && small;
    });
    await page.locator(".terminal-people").getByText("2 windows").waitFor();
    await picture(page, "windows-letterbox");
    await page.bringToFront();
    await terminal(page).locator(".xterm-screen").click();
    await terminal(other).filter({ hasText: "sized by another window" }).waitFor();
    await until("the first window is full again", async () => (await drawn(page)).rows > theirs.rows);
    await picture(other, "windows-letterbox-small");
    await other.close();
    await page.locator(".terminal-people").waitFor({ state: "hidden" });
  });

  await step("works on a phone, with the keys that its keyboard lacks", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    const keys = page.getByRole("toolbar", { name: "Keys" });
    await keys.waitFor();
    const size = await sizeInside(page);
    check(size.columns >= 40, `only ${size.columns} columns fit`);
    await type(page, "clear; echo from-the-history");
    await reads(page, /^from-the-history$/m);
    await keys.getByRole("button", { name: "Up" }).click();
    await reads(page, /\$ clear; echo from-the-history$/m);
    await keys.getByRole("button", { name: "Control" }).click();
    await page.keyboard.type("c");
    await reads(page, /\^C\n\$$/);
    await type(page, "cat -v");
    for (const name of ["Escape", "Tab", "Left"]) {
      await keys.getByRole("button", { name }).click();
    }
    await page.keyboard.press("Enter");
    await reads(page, /^\^\[\s+\^\[\[D$/m);
    await keys.getByRole("button", { name: "Control" }).click();
    await page.keyboard.type("d");
    await picture(page, "windows-phone");
    check(page.url().includes(org), "the page is another one");
  });
});

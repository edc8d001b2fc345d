// Checkpoints: made with the keyboard, restored with a checkpoint of before, deleted; what terminals and the history say.
import { check, picture, script } from "./browser.mjs";
import { createMachine, live, newTerminal, part, reads, signUp, type, untilState } from "./people.mjs";

const MACHINE = "rewind";
const COMMENT = "Before the upgrade";

/** Opens the menu of a checkpoint, and presses one of its items. */
async function act(page, checkpoint, item) {
  await page.getByRole("button", { name: new RegExp(`^Actions for .*${checkpoint}`) }).click();
  await page.getByRole("menuitem", { name: item }).click();
}

function row(page, text) {
  return page.getByRole("table", { name: "Checkpoints" }).getByRole("row").filter({ hasText: text });
}

await script("checkpoints", async ({ person, step }) => {
  const ada = await person("ada");
  const page = await ada.context.newPage();
  await step("signs up, creates a machine and writes a file", async () => {
    await signUp(page, "Ada Lovelace");
    await createMachine(page, MACHINE);
    await untilState(page, "Running", 60_000);
    await newTerminal(page);
    await type(page, "echo first > notes; echo written-$((1+1))");
    await reads(page, /^written-2$/m);
  });

  await step("reads what checkpoints are for", async () => {
    await part(page, "Checkpoints");
    await page.getByText("No checkpoints yet").waitFor();
    await picture(page, "checkpoints-empty");
  });

  await step("makes one, with the keyboard alone", async () => {
    await page.getByRole("button", { name: "Make a checkpoint" }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Make a checkpoint" });
    await dialog.locator("input:focus").waitFor();
    await page.keyboard.type(COMMENT);
    await picture(page, "checkpoints-create");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    await row(page, COMMENT).getByText("Ready").waitFor({ timeout: 60_000 });
    await row(page, COMMENT).getByText("Ada Lovelace").waitFor();
  });

  await step("changes the file, and goes back", async () => {
    await part(page, "Terminal");
    await type(page, "echo second > notes; echo changed-$((1+1))");
    await reads(page, /^changed-2$/m);
    await part(page, "Checkpoints");
    await act(page, COMMENT, "Restore…");
    const dialog = page.getByRole("dialog", { name: new RegExp(`^Restore ${MACHINE} to .*${COMMENT}`) });
    await dialog.getByText("Terminals and everything that runs end.").waitFor();
    const keep = dialog.getByRole("switch", { name: "Make a checkpoint of the present files first" });
    check(await keep.isChecked(), "the present files are not kept unless somebody says otherwise");
    await picture(page, "checkpoints-restore");
    await page.setViewportSize({ width: 390, height: 844 });
    await picture(page, "checkpoints-restore-phone");
    await page.setViewportSize({ width: 1280, height: 800 });
    await dialog.getByRole("button", { name: "Restore" }).click();
    await dialog.waitFor({ state: "hidden", timeout: 90_000 });
    await row(page, "Before the restore to").getByText("Ready").waitFor({ timeout: 90_000 });
    await page.getByRole("cell", { name: "Restoring" }).waitFor({ state: "hidden", timeout: 90_000 });
    await untilState(page, "Running", 90_000);
    await picture(page, "checkpoints-list");
  });

  await step("the terminal says why its shell is gone, and offers a new one", async () => {
    await part(page, "Terminal");
    await page.getByText("The machine was restored to an earlier checkpoint").waitFor({ timeout: 60_000 });
    await picture(page, "checkpoints-terminal");
    await page.getByRole("button", { name: /^New shell/ }).click();
    // What is typed before belongs to the shell that has ended.
    await reads(page, /^— The shell above has ended\. This is a new one\. —\n.*[$#]$/m);
    await live(page);
    await type(page, "cat notes; echo read-$((1+1))");
    await reads(page, /^first$/m);
  });

  await step("in dark and on a phone nothing is wider than the screen", async () => {
    await part(page, "Checkpoints");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 390, height: 844 });
    await row(page, COMMENT).first().waitFor();
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
    check(await fits(), "the page is wider");
    await picture(page, "checkpoints-phone-dark");
    await page.setViewportSize({ width: 1280, height: 800 });
    await picture(page, "checkpoints-dark");
    await page.emulateMedia({ colorScheme: "light" });
  });

  await step("deletes it", async () => {
    await act(page, COMMENT, "Delete…");
    const dialog = page.getByRole("dialog", { name: /^Delete / });
    await dialog.getByRole("button", { name: "Delete checkpoint" }).click();
    await dialog.waitFor({ state: "hidden" });
    await page
      .getByRole("button", { name: new RegExp(`^Actions for v\\d+ · ${COMMENT}$`) })
      .waitFor({ state: "hidden", timeout: 60_000 });
  });

  await step("the history says who went back, and where", async () => {
    await part(page, "Activity");
    await page.getByText(`(${COMMENT}): files are as they were then`, { exact: false }).waitFor();
    await page.getByText("Restore of checkpoint", { exact: false }).first().waitFor();
  });
});

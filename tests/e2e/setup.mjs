// A machine that is set up when it is created: the form and the script that it makes, a setup that fails, its log, and
// running it again.
import { check, picture, script } from "./browser.mjs";
import { newTerminal, part, reads, signUp, type, untilState } from "./people.mjs";

const MACHINE = "setup";

await script("setup", async ({ person, step }) => {
  const ada = await person("ada");
  const page = await ada.context.newPage();
  const setup = page.getByRole("status", { name: "Setup" });

  await step("fills in what sets the machine up, and sees the script", async () => {
    await signUp(page, "Ada Lovelace");
    await page.getByText("No machines yet").waitFor();
    await page.keyboard.press("c");
    const dialog = page.getByRole("dialog", { name: "Create machine" });
    await dialog.getByLabel("Name").fill(MACHINE);
    const create = dialog.getByRole("button", { name: "Create", exact: true });
    await dialog.getByRole("button", { name: "Set it up" }).click();
    await dialog.getByLabel("Repository").fill("https://ada:hunter2@github.com/acme/api");
    await dialog.getByText("Leave the credentials out").waitFor();
    check(await create.isDisabled(), "an address with a password can be sent");
    await dialog.getByLabel("Repository").fill("https://github.com/acme/api");
    await dialog.getByLabel("Setup command").fill("echo hello from setup\n[ -e ~/mended ] || exit 3");
    await dialog.getByLabel("Dotfiles").fill("git@github.com:ada/dotfiles.git");
    const text = dialog.getByLabel("Script", { exact: true });
    await text.getByText("git clone -- 'https://github.com/acme/api' ~/api").waitFor();
    await picture(page, "setup-create");
    await text.scrollIntoViewIfNeeded();
    await picture(page, "setup-script");
    await page.setViewportSize({ width: 390, height: 844 });
    await text.scrollIntoViewIfNeeded();
    await picture(page, "setup-create-phone");
    await page.setViewportSize({ width: 1280, height: 800 });
    // Machines of tests have no way to a repository.
    await dialog.getByLabel("Repository").fill("");
    await dialog.getByLabel("Dotfiles").fill("");
    await create.click();
    await page.getByRole("heading", { name: MACHINE, exact: true }).waitFor();
  });

  await step("is told that it failed, and with what", async () => {
    await setup.getByText("Setup failed (exit 3)").waitFor({ timeout: 90_000 });
    await untilState(page, "Running", 60_000);
    await picture(page, "setup-failed");
    await setup.getByRole("link", { name: "Log" }).click();
    await page.getByRole("log", { name: "Log of first-boot" }).getByText("hello from setup", { exact: true }).waitFor();
    await picture(page, "setup-log");
  });

  await step("mends it in a terminal, and runs it again", async () => {
    await page.goto(page.url().replace(/\/services.*/, "/terminals"));
    await newTerminal(page);
    await type(page, "touch mended; echo done-$((3*3))");
    await reads(page, /^done-9$/m);
    await setup.getByRole("button", { name: "Run again" }).click();
    await setup.getByText(/^Set up in \d/).waitFor({ timeout: 60_000 });
    check((await setup.getByRole("button").count()) === 0, "what went well can be run again from the header");
    await picture(page, "setup-done");
    await part(page, "Activity");
    await page.getByText(/^Set up in \d+ s\.$/).waitFor();
    await page.getByText("Setup failed: exited with code 3.").waitFor();
    await picture(page, "setup-activity");
  });

  await step("keeps the script's lines when it is edited", async () => {
    await part(page, "Services");
    await page.getByRole("button", { name: "Actions for first-boot" }).click();
    await page.getByRole("menuitem", { name: "Edit" }).click();
    const dialog = page.getByRole("dialog", { name: "Edit first-boot" });
    const line = dialog.getByLabel("Command line");
    check((await line.inputValue()).includes("exit 3\n"), () => "the script has lost its lines");
    await picture(page, "setup-edit");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.waitFor({ state: "hidden" });
    await setup.getByText(/^Set up in \d/).waitFor();
  });
});

// Two people with different roles: an owner adds somebody as a viewer, who sees everything, is told why nothing can be
// changed, and watches the owner's terminal without a way to type into it.
import { CONSOLE, check, picture, script } from "./browser.mjs";
import { createMachine, live, newTerminal, part, reads, screen, signUp, terminal, type, untilState } from "./people.mjs";

const MACHINE = "shared";

/** The button is there, cannot be used, and says why to whoever points at it. */
async function refuses(page, name, reason) {
  const button = page.getByRole("button", { name, exact: true }).first();
  await button.waitFor();
  check((await button.getAttribute("aria-disabled")) === "true", `${name} can be used by a viewer`);
  await button.hover();
  await page.getByRole("tooltip").filter({ hasText: reason }).waitFor();
  await page.mouse.move(0, 0);
  await page.getByRole("tooltip").waitFor({ state: "hidden" });
  // Pressing it asks for nothing.
  await button.click({ force: true });
  check((await page.getByRole("dialog").count()) === 0, `${name} opens a dialog for a viewer`);
}

await script("viewer", async ({ person, step }) => {
  const owner = await person("owner");
  const viewer = await person("viewer");
  const own = await owner.context.newPage();
  const watch = await viewer.context.newPage();
  const { org } = await step("an owner signs up", () => signUp(own, "Grace Hopper"));
  const { email } = await step("somebody else signs up", () => signUp(watch, "Vera Viewer"));

  await step("a stranger does not see the organization", async () => {
    await watch.goto(`${CONSOLE}/orgs/${org}/machines`);
    await watch.getByText(`There is no organization ${org} here.`).waitFor();
  });

  await step("the owner creates a machine and types in a terminal", async () => {
    await createMachine(own, MACHINE);
    await untilState(own, "Running", 60_000);
    await newTerminal(own);
    await type(own, "echo before-$((1+1))");
    await reads(own, /^before-2$/m);
  });
  const machinePage = own.url();

  await step("the owner adds a viewer", async () => {
    await own.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Members" }).click();
    await own.getByRole("button", { name: "Add member" }).click();
    const dialog = own.getByRole("dialog", { name: "Add member" });
    await dialog.getByLabel("E-mail").fill(email);
    await dialog.getByRole("radio", { name: "viewer" }).check();
    await dialog.getByRole("button", { name: "Add member" }).click();
    await dialog.waitFor({ state: "hidden" });
    await own.getByRole("table", { name: "Members" }).getByRole("row").filter({ hasText: "Vera Viewer" }).waitFor();
  });

  await step("the viewer sees the machine, and no way to make one", async () => {
    await watch.goto(`${CONSOLE}/orgs/${org}/machines`);
    const row = watch.getByRole("table", { name: "Machines" }).getByRole("row").filter({ hasText: MACHINE });
    await row.filter({ hasText: "Running" }).waitFor();
    await refuses(watch, "Create machine", "This needs the role member or higher; yours is viewer.");
    await watch.keyboard.press("c");
    await row.getByRole("link", { name: MACHINE, exact: true }).click();
    await watch.getByRole("heading", { name: MACHINE, exact: true }).waitFor();
    check((await watch.getByRole("dialog").count()) === 0, "the key c opens a dialog for a viewer");
  });

  await step("the viewer is told why the machine obeys others only", async () => {
    await live(watch);
    for (const button of ["Hibernate", "Stop", "New terminal"]) {
      await refuses(watch, button, "This needs the role member or higher; yours is viewer.");
    }
    await part(watch, "Services");
    await refuses(watch, "Define service", "This needs the role member or higher");
    await part(watch, "Settings");
    await refuses(watch, "Delete machine…", "This needs the role member or higher");
    check(await watch.getByLabel("App port").isDisabled(), "a viewer can change the app port");
    await picture(watch, "viewer-settings");
  });

  await step("the viewer watches the terminal, and typing does nothing", async () => {
    await part(watch, "Terminal");
    await reads(watch, /^before-2$/m);
    await terminal(watch).locator(".xterm-screen").click();
    await watch.keyboard.type("echo intruder");
    await watch.keyboard.press("Enter");
    await own.goto(machinePage);
    await live(own);
    await type(own, "echo after-$((1+2))");
    await reads(own, /^after-3$/m);
    await reads(watch, /^after-3$/m);
    for (const [who, page] of [["the owner", own], ["the viewer", watch]]) {
      const text = await screen(page);
      check(!text.includes("intruder"), `${who} sees what the viewer typed:\n${text}`);
    }
    await picture(watch, "viewer-terminal");
  });

  await step("the audit log is not for viewers", async () => {
    await watch.goto(`${CONSOLE}/orgs/${org}/audit`);
    await watch.getByText("The audit log is for admins").waitFor();
  });
});

// The main job, end to end: sign up, create a machine, work in its terminal, open its URL, let it sleep, come back.
import { get } from "node:http";
import { CONSOLE, check, PATIENCE, picture, script } from "./browser.mjs";
import {
  appUrl,
  createMachine,
  hibernate,
  live,
  machineId,
  newTerminal,
  orgOf,
  part,
  reads,
  says,
  signIn,
  signUp,
  type,
  untilService,
  untilState,
  word,
} from "./people.mjs";
import { untilCold } from "./sprites.mjs";

const MACHINE = "api-demo";

/** A package made where it is installed: nothing has to come from anywhere. Its program says `packed-42`. */
const PACKAGE = [
  "mkdir -p p/DEBIAN p/usr/bin",
  "printf 'Package: hi\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@b.c>\\nDescription: hi\\n' > p/DEBIAN/control",
  "printf '#!/bin/sh\\necho packed-$((40+2))\\n' > p/usr/bin/hi",
  "chmod 755 p/usr/bin/hi",
  "dpkg-deb --root-owner-group -b p hi.deb",
  "sudo dpkg -i hi.deb",
  "clear",
  "hi",
].join(" && ");

/** What a program gets that has no cookies. Node looks `*.localhost` up with the system, so the host is a header. */
function askApp(url) {
  const { host, port } = new URL(url);
  return new Promise((answer, refuse) => {
    const request = get({ host: "127.0.0.1", port, path: "/", headers: { host }, timeout: PATIENCE }, (response) => {
      response.resume();
      answer(response.statusCode);
    });
    request.on("timeout", () => request.destroy(new Error(`${url} does not answer`)));
    request.on("error", refuse);
  });
}

await script("story", async ({ person, step }) => {
  const ada = await person("ada");
  let page = await ada.context.newPage();
  const { email, org } = await step("signs up and gets an organization", () => signUp(page, "Ada Lovelace"));
  const machinePage = `${CONSOLE}/orgs/${org}/machines/${MACHINE}`;

  await step("makes a second organization, and switches back", async () => {
    await page.getByRole("button", { name: `Organization: ${org}` }).click();
    await page.getByRole("menuitem", { name: "New organization" }).click();
    await page.getByLabel("Name").fill("Second Team");
    const slug = word();
    await page.getByLabel("Slug").fill(slug);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: `Organization: ${slug}` }).click();
    check(orgOf(page) === slug, `the new organization's page is ${page.url()}`);
    await page.getByRole("menuitem", { name: org }).click();
    await page.getByRole("button", { name: `Organization: ${org}` }).waitFor();
    check(orgOf(page) === org, `the first organization's page is ${page.url()}`);
  });

  await step("presses c, is refused a bad name as it is typed, and sees the URL that a name gives", async () => {
    await page.getByText("No machines yet").waitFor();
    await page.keyboard.press("c");
    const dialog = page.getByRole("dialog", { name: "Create machine" });
    await dialog.locator("input:focus").waitFor();
    await page.keyboard.type("Api_");
    await dialog.getByText("may contain only a to z, 0 to 9 and hyphens").waitFor();
    check(await dialog.getByRole("button", { name: "Create" }).isDisabled(), "a bad name can be sent");
    await dialog.getByLabel("Name").fill("");
    await page.keyboard.type(MACHINE);
    await dialog.getByText(`${MACHINE}--${org}.apps.`).waitFor();
    for (const offered of ["Size", "Region", "Runtime"]) {
      check(await dialog.getByRole("combobox", { name: offered }).inputValue(), `no ${offered} is offered`);
    }
    await picture(page, "story-create");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: MACHINE, exact: true }).waitFor();
  });

  await step("sees it become Running", () => untilState(page, "Running", 60_000));

  await step("is refused the name again as it is typed", async () => {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Machines" }).click();
    await page.getByRole("table", { name: "Machines" }).getByRole("link", { name: MACHINE }).first().waitFor();
    await page.keyboard.press("c");
    const dialog = page.getByRole("dialog", { name: "Create machine" });
    await dialog.locator("input:focus").waitFor();
    await page.keyboard.type(MACHINE);
    await dialog.getByText("Another machine of this organization has this name.").waitFor();
    check(await dialog.getByRole("button", { name: "Create" }).isDisabled(), "a taken name can be sent");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    await page.keyboard.press("ArrowDown");
    await page.getByRole("table", { name: "Machines" }).locator(":focus").waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: MACHINE, exact: true }).waitFor();
  });

  await step("opens a terminal and types into it", async () => {
    await newTerminal(page);
    await type(page, 'echo "sum-$((40+2))"; kept=here');
    await reads(page, /^sum-42$/m);
  });

  await step("installs a package", async () => {
    await type(page, PACKAGE);
    await reads(page, /^packed-42$/m);
  });

  await step("runs a web server", async () => {
    await type(page, "clear; echo by-the-machine > hello.txt; python3 -m http.server 3000 &");
    await reads(page, /Serving HTTP on/);
    await picture(page, "story-terminal");
  });

  const url = appUrl(org, MACHINE, 3000);
  await step("opens its URL in another tab", async () => {
    const tab = await ada.context.newPage();
    await tab.goto(url);
    await tab.getByRole("link", { name: "hello.txt" }).click();
    await tab.getByText("by-the-machine").waitFor();
    check(tab.url() === `${url}hello.txt`, `the app is at ${tab.url()}`);
    await tab.close();
    await reads(page, /GET \/hello\.txt/);
  });

  await step("nobody else gets in: a browser ends at the sign-in, a program gets 401", async () => {
    const nobody = await person("nobody");
    const tab = await nobody.context.newPage();
    await tab.goto(url);
    await tab.getByRole("heading", { name: "Sign in" }).waitFor();
    check(tab.url().startsWith(`${CONSOLE}/signin`), `nobody is asked to sign in at ${tab.url()}`);
    await nobody.context.close();
    const status = await askApp(url);
    check(status === 401, `a request without a cookie is answered with ${status}`);
  });

  await step("closes the tab, comes back, and finds the same shell with its output", async () => {
    await page.close();
    page = await ada.context.newPage();
    await page.goto(machinePage);
    await live(page);
    await reads(page, /GET \/hello\.txt/);
    await type(page, 'echo "still-$kept"');
    await reads(page, /^still-here$/m);
  });

  await step("presses Hibernate: Hibernating, then Hibernated", () => hibernate(page));

  await step("opens the terminal again, wakes it, and the files are there", async () => {
    await page.close();
    page = await ada.context.newPage();
    await page.goto(machinePage);
    await says(page, "Asleep");
    await page.getByRole("button", { name: "Wake", exact: true }).click();
    await live(page, 60_000);
    await untilState(page, "Running");
    await type(page, "clear; cat hello.txt; hi");
    await reads(page, /^by-the-machine\npacked-42$/m);
  });

  await step("defines a service with an HTTP port", async () => {
    await part(page, "Services");
    await page.getByRole("button", { name: "Define service" }).click();
    const dialog = page.getByRole("dialog", { name: "Define service" });
    await dialog.getByLabel("Name").fill("web");
    await dialog.getByLabel("Command line").fill("python3 -m http.server 3001");
    await dialog.getByLabel("HTTP port").fill("3001");
    await dialog.getByRole("button", { name: "Define and start" }).click();
    await dialog.waitFor({ state: "hidden" });
    await untilService(page, "web", "Running");
  });

  await step("hibernates it, and it loses its memory", async () => {
    const id = await machineId(page);
    await hibernate(page);
    await untilCold(id);
    await part(page, "Services");
    await untilService(page, "web", "Asleep");
  });

  await step("opens the service's URL: the machine wakes and the service runs", async () => {
    const tab = await ada.context.newPage();
    await tab.goto(appUrl(org, MACHINE, 3001), { timeout: 60_000 });
    // Nobody reloads: a page that says "waking up" goes on by itself, and the request waits for the service.
    await tab.getByRole("link", { name: "hello.txt" }).waitFor({ timeout: 30_000 });
    await tab.close();
    await untilState(page, "Running");
    await untilService(page, "web", "Running");
    await picture(page, "story-services");
  });

  await step("the shell went with the memory, a new one in its tab has the files", async () => {
    await part(page, "Terminal");
    await says(page, "this shell is gone. Files are still there.");
    await page.getByRole("button", { name: /^New shell/ }).click();
    await live(page);
    await reads(page, /^— The shell above has ended\. This is a new one\. —\n.*[$#]$/m);
    await type(page, 'echo "new-shell-$kept"; cat hello.txt; hi');
    await reads(page, /^new-shell-\nby-the-machine\npacked-42$/m);
  });

  await step("signs out, and signs in again to the page that was asked for", async () => {
    await page.getByRole("button", { name: "Account" }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.goto(`${machinePage}/activity`);
    await signIn(page, email);
    await page.getByRole("heading", { name: MACHINE, exact: true }).waitFor();
    check(page.url() === `${machinePage}/activity`, `signing in leads to ${page.url()}`);
  });

  await step("deletes the machine after typing its name", async () => {
    await part(page, "Settings");
    await page.getByRole("button", { name: "Delete machine…" }).click();
    const dialog = page.getByRole("dialog", { name: `Delete ${MACHINE}?` });
    const confirm = dialog.getByRole("button", { name: "Delete machine" });
    await dialog.getByLabel(`Type ${MACHINE} to confirm`).fill("api-dem");
    check(await confirm.isDisabled(), "a wrong name is enough to delete");
    await dialog.getByLabel(`Type ${MACHINE} to confirm`).fill(MACHINE);
    await confirm.click();
    await page.getByText("No machines yet").waitFor({ timeout: 60_000 });
    ada.expect(`/machines/${MACHINE},`, "404");
    await page.goto(machinePage);
    await page.getByText(`There is no machine ${MACHINE} in ${org}.`).waitFor();
  });
});

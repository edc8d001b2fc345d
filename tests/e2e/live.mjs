// Two windows of two people: what one does, the other sees without asking, also after the connection was away.
import { CONSOLE, check, picture, script } from "./browser.mjs";
import { cable } from "./cable.mjs";
import { createMachine, hibernate, part, signUp, untilState } from "./people.mjs";

const MACHINE = "shared";
/** From a change to the other window; much less on a computer that does nothing else. */
const AT_ONCE = 30_000;

await script("live", async ({ person, step }) => {
  const owner = await person("owner");
  const line = await cable();
  const other = await person("other", { proxy: line.proxy });
  // What a cut cable makes a browser complain about, and what a page says of whoever has been removed.
  other.expect("net::ERR_");
  other.expect("WebSocket connection");
  other.expect(`${CONSOLE}/v1/orgs/`, "404");
  const own = await owner.context.newPage();
  const watch = await other.context.newPage();
  const { org } = await step("an owner signs up", () => signUp(own, "Grace Hopper"));
  const { email } = await step("somebody else signs up", () => signUp(watch, "Alan Turing"));
  const updates = watch.getByRole("status", { name: "Updates" });

  await step("the other becomes a viewer, and looks at the machines", async () => {
    const data = { email, role: "viewer" };
    const answer = await own.request.post(`${CONSOLE}/v1/orgs/${org}/members`, { data, headers: { origin: CONSOLE } });
    check(answer.ok(), `adding a member is answered with ${answer.status()}`);
    await watch.goto(`${CONSOLE}/orgs/${org}/machines`);
    await watch.getByText("No machines yet").waitFor();
    await updates.filter({ hasText: "Live" }).waitFor();
    // Whoever asks is counted: from here on, the page is told.
    await watch.evaluate(() => {
      window.wasNeverReloaded = true;
    });
  });

  const row = watch.getByRole("table", { name: "Machines" }).getByRole("row").filter({ hasText: MACHINE });
  let asked = 0;
  watch.on("request", (request) => {
    if (new URL(request.url()).pathname.endsWith("/machines")) {
      asked += 1;
    }
  });
  await step("a machine appears in the other window, and runs", async () => {
    await createMachine(own, MACHINE);
    await row.waitFor({ timeout: AT_ONCE });
    await row.filter({ hasText: "Running" }).waitFor({ timeout: 90_000 });
    check(asked === 0, `the other window asked ${asked} times for what it was told`);
    await picture(watch, "live-machines");
  });

  await step("its history grows while somebody reads it, of one machine and of all", async () => {
    await watch.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Activity" }).click();
    await watch.getByRole("heading", { name: "Activity", exact: true }).waitFor();
    await watch.getByText("Created.").waitFor();
    await untilState(own, "Running", 90_000);
    await hibernate(own);
    await watch.getByText("Hibernating, by hand.").waitFor({ timeout: AT_ONCE });
    await picture(watch, "live-activity");
    await watch.getByRole("combobox", { name: "Kind" }).click();
    await watch.getByRole("option", { name: "Created", exact: true }).click();
    await watch.getByText("Hibernating, by hand.").waitFor({ state: "hidden" });
    check(watch.url().includes("kind=created"), `the filter is not in the address: ${watch.url()}`);
    await watch.getByRole("link", { name: MACHINE }).first().click();
    await watch.getByRole("heading", { name: MACHINE, exact: true }).waitFor();
    await watch.getByText("Hibernating, by hand.").waitFor();
    await picture(watch, "live-machine-activity");
  });

  await step("without a connection the page says so, and afterwards has what it missed", async () => {
    line.cut();
    await updates.filter({ hasText: "Reconnecting" }).waitFor({ timeout: 60_000 });
    await picture(watch, "live-reconnecting");
    await own.getByRole("button", { name: "Start" }).click();
    await untilState(own, "Running", 90_000);
    line.mend();
    await updates.filter({ hasText: "Live" }).waitFor({ timeout: 60_000 });
    await untilState(watch, "Running", AT_ONCE);
    await watch.getByText("Started by hand.").first().waitFor({ timeout: AT_ONCE });
  });

  await step("a terminal that is opened and a service that is defined appear in the other window", async () => {
    await part(watch, "Services");
    await watch.getByText("No services", { exact: false }).first().waitFor();
    const data = { command: "sleep", args: ["1000"] };
    const path = `${CONSOLE}/v1/orgs/${org}/machines/${MACHINE}/services/web`;
    await own.request.put(path, { data, headers: { origin: CONSOLE } });
    const service = watch.getByRole("table", { name: "Services" }).getByRole("row").filter({ hasText: "web" });
    await service.waitFor({ timeout: AT_ONCE });
    await service.filter({ hasText: "Running" }).waitFor({ timeout: 60_000 });
  });

  await step("whoever is removed sees nothing any more, at once", async () => {
    const members = await own.request.get(`${CONSOLE}/v1/orgs/${org}/members`);
    const { account_id } = (await members.json()).members.find((member) => member.email === email);
    const path = `${CONSOLE}/v1/orgs/${org}/members/${account_id}`;
    const answer = await own.request.delete(path, { headers: { origin: CONSOLE } });
    check(answer.ok(), `removing a member is answered with ${answer.status()}`);
    await watch.getByText(`There is no organization ${org} here.`).waitFor({ timeout: AT_ONCE });
    check(await watch.evaluate(() => window.wasNeverReloaded), "the page was loaded again");
  });
});

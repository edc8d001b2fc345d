// Every page in light and dark, on a desk and on a phone: nothing is wider than the screen, and the browser has nothing
// to complain about. The pictures are for people to look at.
import { CONSOLE, check, picture, script } from "./browser.mjs";
import { createMachine, newTerminal, reads, signUp, type, untilService, untilState } from "./people.mjs";

const MACHINE = "api-demo";
const SIZES = [
  { name: "desk", width: 1280, height: 800 },
  { name: "phone", width: 390, height: 844 },
];

/** Name, path, and what is there when the page is complete. */
function publicPages() {
  return [
    ["signin", "/signin", (page) => page.getByRole("heading", { name: "Sign in" })],
    ["signup", "/signup", (page) => page.getByRole("heading", { name: "Sign up" })],
  ];
}

function docsPages(ids) {
  return ids.map((id) => [`docs-${id}`, `/docs/${id}`, (page) => page.getByRole("article").getByRole("heading").first()]);
}

function pages(org) {
  const at = `/orgs/${org}`;
  const machine = `${at}/machines/${MACHINE}`;
  const table = (name) => (page) => page.getByRole("table", { name });
  return [
    ["machines", `${at}/machines`, table("Machines")],
    // Whoever follows a link to it types the name at once.
    ["create", `${at}/machines?create=true`, (page) => page.getByLabel("Name").and(page.locator(":focus"))],
    ["org-activity", `${at}/activity`, (page) => page.getByText("Created.").first()],
    ["members", `${at}/members`, table("Members")],
    ["usage", `${at}/usage`, table("Awake time by machine")],
    ["audit", `${at}/audit`, table("Audit log")],
    ["account", "/account", table("API tokens")],
    ["terminal", `${machine}/terminals`, (page) => page.locator("[role=tabpanel][data-status=live] .xterm-rows")],
    ["services", `${machine}/services`, table("Services")],
    ["service-new", `${machine}/services?edit=:new`, (page) => page.getByRole("button", { name: "Define and start" })],
    ["service-log", `${machine}/services?logs=colours`, (page) => page.locator(".log-line").filter({ hasText: /ready$/ })],
    ["variables", `${machine}/variables`, table("Variables")],
    ["ports", `${machine}/ports`, table("Named ports")],
    ["checkpoints", `${machine}/checkpoints`, table("Checkpoints")],
    ["activity", `${machine}/activity`, (page) => page.getByText("Created.").first()],
    ["settings", `${machine}/settings`, (page) => page.getByRole("button", { name: "Delete machine…" })],
    ["not-found", "/nowhere", (page) => page.getByRole("link", { name: /start|machines/i }).last()],
  ];
}

/** What reaches over the right edge, for whoever has to find it. */
async function overflow(page) {
  return page.evaluate(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= window.innerWidth) {
      return null;
    }
    const wide = [...document.body.querySelectorAll("*")].filter(
      (one) => one.getBoundingClientRect().right > window.innerWidth + 1,
    );
    const named = wide.slice(0, 5).map((one) => `<${one.tagName.toLowerCase()} class="${one.className}">`);
    return `${root.scrollWidth} of ${window.innerWidth} pixels: ${named.join(", ")}`;
  });
}

async function look(page, scheme, list) {
  const problems = [];
  for (const [name, path, complete] of list) {
    await page.goto(`${CONSOLE}${path}`);
    await complete(page).first().waitFor();
    for (const size of SIZES) {
      await page.setViewportSize({ width: size.width, height: size.height });
      // The menu's place says that the page has been laid out anew.
      const menu = page.getByRole("button", { name: "Menu", exact: true });
      await menu.waitFor({ state: size.name === "phone" ? "visible" : "hidden" });
      await complete(page).first().waitFor();
      const wide = await overflow(page);
      if (wide) {
        problems.push(`${name} on a ${size.name}, ${scheme}: ${wide}`);
      }
      const shown = await page.locator("html").getAttribute("data-mantine-color-scheme");
      check(shown === scheme, `${name} is ${shown}, not ${scheme}`);
      await picture(page, `${name}-${scheme}-${size.name}`);
    }
  }
  check(problems.length === 0, `pages are wider than the screen:\n${problems.join("\n")}`);
}

/** Chooses a scheme in the header's menu. */
async function choose(page, scheme) {
  await page.setViewportSize(SIZES[0]);
  await page.getByRole("button", { name: "Color scheme" }).click();
  await page.getByRole("menuitem", { name: scheme, exact: true }).click();
  await page.locator(`html[data-mantine-color-scheme=${scheme.toLowerCase()}]`).waitFor();
}

await script("pages", async ({ person, step }) => {
  const nobody = await person("nobody");
  const outside = await nobody.context.newPage();
  const docs = await step("finds the documentation's pages", async () => {
    await outside.goto(`${CONSOLE}/docs`);
    const links = outside.getByRole("navigation", { name: "Documentation" }).getByRole("link");
    await links.first().waitFor();
    return links.evaluateAll((all) => all.map((one) => one.getAttribute("href").split("/").at(-1)));
  });

  const ada = await person("ada");
  const page = await ada.context.newPage();
  const org = await step("makes a machine with everything that pages show", async () => {
    const { org } = await signUp(page, "Ada Lovelace");
    await createMachine(page, MACHINE);
    await untilState(page, "Running", 60_000);
    await newTerminal(page);
    await type(page, "uname -sm; df -h / | tail -1; ls --color=always -la /");
    await reads(page, /usr/);
    const send = async (method, path, data) => {
      const options = { method, data, headers: { origin: CONSOLE } };
      const answer = await page.request.fetch(`${CONSOLE}${path}`, options);
      check(answer.ok(), `${method} ${path} is answered with ${answer.status()}: ${await answer.text()}`);
    };
    const machine = `/v1/orgs/${org}/machines/${MACHINE}`;
    const command = { command: "python3", args: ["-m", "http.server", "3001", "--directory", "/usr/share/doc"] };
    await send("PUT", `${machine}/services/web`, { ...command, http_port: 3001 });
    const logs =
      "for i in $(seq 1 40); do printf '\\033[32mINFO\\033[0m  request %s: GET /v1/things/%s answered with \\033[36m200\\033[0m in 3 ms\\n' $i $i; done; printf '\\033[33mWARN\\033[0m  slow\\n\\033[1;31mERROR\\033[0m \\033[7mno connection\\033[0m \\033[2mto the database\\033[0m\\n'; echo ready; exec sleep 86400";
    await send("PUT", `${machine}/services/colours`, { command: "sh", args: ["-c", logs] });
    await send("PUT", `${machine}/variables/DATABASE_URL`, { value: "postgres://db/app", secret: false });
    await send("PUT", `${machine}/variables/API_TOKEN`, { value: "hidden" });
    await send("PUT", `${machine}/ports/3000`, { label: "the website that everybody looks at" });
    await send("POST", `${machine}/checkpoints`, { comment: "Before the new database, with everything as it should be" });
    await send("POST", "/v1/tokens", { name: "continuous integration", scope: "write", expires_in_days: 30 });
    await page.goto(`${CONSOLE}/orgs/${org}/machines/${MACHINE}/services`);
    await untilService(page, "web", "Running");
    return org;
  });

  for (const scheme of ["Light", "Dark"]) {
    await step(`looks at every page: ${scheme}`, async () => {
      await outside.goto(`${CONSOLE}/signin`);
      await choose(outside, scheme);
      await look(outside, scheme.toLowerCase(), [...publicPages(), ...docsPages(docs)]);
      await choose(page, scheme);
      await look(page, scheme.toLowerCase(), pages(org));
      await page.goto(`${CONSOLE}/orgs/${org}/machines`);
    });
  }
});

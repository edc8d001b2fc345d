// The log of a service: what comes while somebody looks, what they find in it, and that a look wakes nothing.
import { readFile } from "node:fs/promises";
import { CONSOLE, check, picture, script, until } from "./browser.mjs";
import { createMachine, hibernate, orgOf, part, signUp, untilService, untilState } from "./people.mjs";

const MACHINE = "chatty";
// Colours, and what would be markup if it were taken for that; then whatever is written into the pipe.
const SCRIPT = [
  "seq -f 'line %g' 1 900",
  "printf '\\033[31mERROR\\033[0m a Needle in \\033[1;32mgreen\\033[0m \\033[7minverse\\033[0m\\n'",
  "echo '<img src=x onerror=document.title=1><b>bold</b> needle'",
  "rm -f pipe; mkfifo pipe; echo ready; while :; do cat pipe; done",
].join("; ");

function log(page) {
  return page.getByRole("log", { name: "Log of web" });
}

function line(page, text) {
  return log(page).locator(".log-line").filter({ hasText: text });
}

async function status(page, word) {
  await page.getByRole("status", { name: "Log" }).filter({ hasText: word }).waitFor({ timeout: 60_000 });
}

/** Whether a line is where it can be seen. */
async function isSeen(page, text) {
  return line(page, text)
    .first()
    .evaluate((element) => {
      const [box, list] = [element, element.closest("[role=log]")].map((one) => one.getBoundingClientRect());
      return box.top >= list.top - 1 && box.bottom <= list.bottom + 1;
    });
}

await script("logs", async ({ person, step }) => {
  const ada = await person("ada");
  const page = await ada.context.newPage();
  ada.expect("/logs?", "409");
  ada.expect("/logs?", "503");
  const send = async (method, path, data) => {
    const options = { method, data, headers: { origin: CONSOLE }, timeout: 60_000 };
    const answer = await page.request.fetch(`${CONSOLE}${path}`, options);
    check(answer.ok(), `${method} ${path} is answered with ${answer.status()}: ${await answer.text()}`);
  };
  let machine;
  const write = (line) =>
    send("POST", `${machine}/exec`, { command: "sh", args: ["-c", `(${line}) > pipe`], cwd: "/var/tmp" });

  await step("a machine has a service that writes", async () => {
    await signUp(page, "Ada Lovelace");
    await createMachine(page, MACHINE);
    await untilState(page, "Running", 60_000);
    machine = `/v1/orgs/${orgOf(page)}/machines/${MACHINE}`;
    const definition = { command: "sh", args: ["-c", SCRIPT], directory: "/var/tmp" };
    await send("PUT", `${machine}/services/web`, definition);
  });

  await step("its menu leads to its log, which is at its end and follows", async () => {
    await part(page, "Services");
    await untilService(page, "web", "Running");
    await page.getByRole("button", { name: "Actions for web" }).click();
    await page.getByRole("menuitem", { name: "Logs" }).click();
    await status(page, "Following");
    await line(page, /ready$/).waitFor();
    await until("the newest line is seen", () => isSeen(page, /ready$/));
    await write("echo and another");
    await line(page, /and another$/).waitFor();
    await until("what comes is seen", () => isSeen(page, /and another$/));
  });

  await step("what it writes is text, in its colours", async () => {
    await line(page, "<img src=x onerror=document.title=1><b>bold</b> needle").waitFor();
    check((await log(page).locator("img, b").count()) === 0, "a line of the log became markup");
    const red = await log(page).locator(".log-text span").filter({ hasText: /^ERROR$/ });
    const color = await red.evaluate((element) => getComputedStyle(element).color);
    check(/rgb\(1\d\d, |rgb\(2\d\d, /.test(color), `ERROR is not red, but ${color}`);
    const inverse = log(page).locator(".log-text span").filter({ hasText: /^inverse$/ });
    const [text, behind] = await inverse.evaluate((element) => {
      const { color, backgroundColor } = getComputedStyle(element);
      return [color, backgroundColor];
    });
    check(text !== behind && behind !== "rgba(0, 0, 0, 0)", `inverse text is ${text} on ${behind}`);
    await picture(page, "logs-following");
  });

  await step("scrolled up, it stays there and counts what comes", async () => {
    await page.keyboard.press("g");
    await status(page, "Paused");
    const first = await log(page).evaluate((list) => list.scrollTop);
    check(first === 0, `the key g leads to ${first}`);
    await log(page).evaluate((list) => list.scrollTo(0, 2000));
    await write("seq -f 'late %g' 1 5");
    const news = page.getByRole("button", { name: "5 new lines" });
    await news.waitFor();
    const top = await log(page).evaluate((list) => list.scrollTop);
    check(Math.abs(top - 2000) < 3, `lines that came moved the list to ${top}`);
    await picture(page, "logs-paused");
    await news.click();
    await status(page, "Following");
    await until("the newest line is seen", () => isSeen(page, /late 5$/));
  });

  await step("older lines come in front of what is looked at", async () => {
    await page.keyboard.press("g");
    check((await line(page, /line 1$/).count()) === 0, "all of it was loaded at once");
    await page.getByRole("button", { name: "Older lines" }).click();
    await line(page, /line 1$/).first().waitFor({ state: "attached" });
    await page.keyboard.press("Shift+G");
    await status(page, "Following");
    await until("the newest line is seen", () => isSeen(page, /late 5$/));
  });

  await step("searches with the keyboard, and sees where it is", async () => {
    await page.keyboard.press("/");
    await page.keyboard.type("NEEDLE");
    await until("only lines with it are there", async () => (await log(page).locator(".log-line").count()) === 2);
    const marked = async () => (await log(page).locator("mark").allTextContents()).join() === "Needle,needle";
    await until("it is marked", marked);
    await write("echo one more needle; echo without");
    await until("what comes is searched, too", async () => (await log(page).locator("mark").count()) === 3);
    await picture(page, "logs-search");
    await page.getByRole("searchbox").fill("nowhere at all");
    await page.getByText("No line has “nowhere at all”.").waitFor();
    await page.keyboard.press("Escape");
    await line(page, /without$/).waitFor();
  });

  await step("shows lines without times, and without wrapping them", async () => {
    const time = log(page).locator(".log-time").last();
    await time.waitFor();
    await page.getByRole("button", { name: "Times" }).click();
    await time.waitFor({ state: "hidden" });
    await write("head -c 600 /dev/zero | tr '\\0' w; echo");
    await line(page, /w{600}/).waitFor();
    const height = () => line(page, /w{600}/).evaluate((element) => element.getBoundingClientRect().height);
    check((await height()) > 30, "a long line is not wrapped");
    await page.getByRole("button", { name: "Wrap long lines" }).click();
    await until("it is one line", async () => (await height()) < 30);
    await page.getByRole("button", { name: "Times" }).click();
    await page.getByRole("button", { name: "Wrap long lines" }).click();
  });

  await step("downloads all of it, without colours", async () => {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download" }).click(),
    ]);
    check(download.suggestedFilename() === "chatty-web-log.txt", download.suggestedFilename());
    const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\n");
    const numbers = lines.map((one) => /Z line (\d+)$/.exec(one)?.[1]).filter(Boolean);
    const all = Array.from({ length: 900 }, (_, at) => String(at + 1));
    check(numbers.join() === all.join(), `the file has ${lines.length} lines, from ${lines[0]}`);
    check(lines.some((one) => one.endsWith("Z ERROR a Needle in green inverse")), "colours are in the file");
  });

  await step("on a phone, too, nothing is wider than the screen", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await until("the newest line is seen", () => isSeen(page, /w{600}/));
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
    await until("the page fits", fits);
    await picture(page, "logs-phone");
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  await step("a sleep ends it, its lines stay, and looking again wakes nothing", async () => {
    await hibernate(page);
    await page.getByText("The machine went to sleep. These are its lines until then.").waitFor();
    await line(page, /without$/).waitFor();
    await picture(page, "logs-went-to-sleep");
    await page.reload();
    await page.getByText("The machine is asleep", { exact: true }).waitFor();
    await untilState(page, "Hibernated");
    await picture(page, "logs-asleep");
  });

  await step("wakes it from there", async () => {
    await page.getByRole("button", { name: "Wake the machine" }).click();
    await line(page, /without$/).waitFor({ timeout: 60_000 });
    await status(page, "Following");
    await untilState(page, "Running", 60_000);
    await write("echo back again");
    await line(page, /back again$/).waitFor();
  });

  await step("a service that is not there says so", async () => {
    await page.goto(`${CONSOLE}/orgs/${orgOf(page)}/machines/${MACHINE}/services?logs=other`);
    await page.getByText("There is no service other on this machine").waitFor();
    await page.getByRole("region", { name: "Log of other" }).getByRole("link", { name: "Services" }).click();
    await untilService(page, "web", "Running");
  });
});

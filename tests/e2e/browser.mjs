// A browser for one script: it prints the steps with their times, knows when to give up, and leaves a picture when
// something is not as it should be. What is found on a page is waited for with a deadline; nothing sleeps.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const CONSOLE = need("SNAPVM_CONSOLE");
const SCREENSHOTS = need("SNAPVM_SCREENSHOTS");
/** Longest time for anything that no script says otherwise of, in milliseconds. */
export const PATIENCE = 30_000;

const started = Date.now();

function need(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set: these scripts are started by the test binary e2e`);
  }
  return value;
}

export function say(text) {
  console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`);
}

export function check(right, otherwise) {
  if (!right) {
    throw new Error(typeof otherwise === "function" ? otherwise() : otherwise);
  }
}

/** Runs a script with a browser, and ends the process. */
export async function script(name, work) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  for (const old of readdirSync(SCREENSHOTS).filter((file) => file.startsWith(`failed-${name}-`))) {
    rmSync(join(SCREENSHOTS, old), { force: true });
  }
  const people = [];
  let browser;
  let code = 0;
  const limit = Number(process.env.SNAPVM_PATIENCE_SECONDS ?? 240) * 1000;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limit / 1000} s`)), limit);
  });
  try {
    browser = await chromium.launch({
      executablePath: process.env.SNAPVM_CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        // Terminals draw text that can be read, as on a computer without a graphics card.
        "--disable-3d-apis",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    const person = (who, options = {}) => newPerson(browser, people, who, options);
    await Promise.race([work({ browser, person, step: (what, how) => step(name, what, how) }), late]);
    for (const { who, complaints } of people) {
      check(complaints.length === 0, () => `the browser of ${who} complains:\n${complaints.join("\n")}`);
    }
    say("all is well");
  } catch (error) {
    code = 1;
    const places = (error?.stack ?? "").split("\n").filter((line) => /^ +at .*e2e/.test(line));
    say(`FAILED: ${[error?.message ?? error, ...places].join("\n")}`);
    await pictures(name, people).catch((problem) => say(`no picture: ${problem.message}`));
  } finally {
    clearTimeout(timer);
  }
  // A browser that hangs must not keep the script.
  await Promise.race([browser?.close().catch(() => {}), new Promise((done) => setTimeout(done, 5000))]);
  process.exit(code);
}

async function step(name, what, how) {
  say(what);
  try {
    return await how();
  } catch (error) {
    error.message = `${name}, “${what}”: ${error.message}`;
    throw error;
  }
}

/** What every open page looked like when something failed. */
async function pictures(name, people) {
  for (const { who, context, complaints } of people) {
    for (const [number, page] of context.pages().entries()) {
      const file = join(SCREENSHOTS, `failed-${name}-${who}-${number + 1}.png`);
      await page.screenshot({ path: file, timeout: 5000 });
      say(`${who} saw ${page.url()}: ${file}`);
    }
    for (const complaint of complaints) {
      say(`the browser of ${who}: ${complaint}`);
    }
  }
}

/** Somebody with a browser of their own: no cookies, and complaints of the browser are kept. */
async function newPerson(browser, people, who, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  const complaints = [];
  // The question who is signed in is asked by everybody, and the answer to nobody is 401.
  const expected = [[`${CONSOLE}/v1/account,`, "401"]];
  // A machine's network device has just come or gone on this computer, and Chromium asks anew for what was on its way.
  expected.push(["net::ERR_NETWORK_CHANGED"]);
  context.on("page", (page) => {
    const go = page.goto.bind(page);
    page.goto = (...where) =>
      go(...where).catch((error) => {
        check(error.message.includes("net::ERR_NETWORK_CHANGED"), error.message);
        return go(...where);
      });
  });
  // Whoever goes on before a page's feed is there.
  expected.push(["/feed", "WebSocket is closed before the connection is established"]);
  context.on("weberror", (error) => complaints.push(`error: ${error.error()?.stack ?? error.error()}`));
  context.on("console", (message) => {
    const { url } = message.location();
    if (message.type() !== "error" && message.type() !== "warning") {
      return;
    }
    // Apps may complain about whatever they like.
    if (url.startsWith(CONSOLE)) {
      const complaint = `${message.type()}: ${message.text()} (${url}, on ${message.page()?.url()})`;
      if (!expected.some((words) => words.every((one) => complaint.includes(one)))) {
        complaints.push(complaint);
      }
    }
  });
  const person = { who, context, complaints, expect: (...words) => expected.push(words) };
  people.push(person);
  return person;
}

export async function picture(page, name) {
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), animations: "disabled" });
}

/** Asks again until the answer is true. For what is not on a page. */
export async function until(what, ask, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) {
      return answer;
    }
    check(Date.now() < deadline, `${what}: not within ${patience / 1000} s`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

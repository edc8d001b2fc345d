// A terminal over a bad network and a sleeping machine: the cable is cut under output and under typing, and what was
// shown and typed is compared with files written inside the machine; a machine that sleeps is looked at, not woken.
import { createHash } from "node:crypto";
import { CONSOLE, check, picture, script, until } from "./browser.mjs";
import { cable } from "./cable.mjs";
import {
  createMachine,
  hibernate,
  live,
  machineId,
  newTerminal,
  part,
  reads,
  says,
  screen,
  signUp,
  transcript,
  type,
  untilState,
} from "./people.mjs";
import { untilCold } from "./sprites.mjs";

const MACHINE = "survivor";
const LINES = 3000;
const WORDS = 60;

const digest = (text) => createHash("sha256").update(text).digest("hex");

/** What a file in the machine has, by the machine's own word. */
async function digestInside(page, file) {
  await type(page, `clear; sha256sum ${file}`);
  await reads(page, /^[0-9a-f]{64} /m);
  return /^([0-9a-f]{64}) /m.exec(await screen(page))[1];
}

await script("terminals", async ({ person, step }) => {
  const line = await cable();
  const ada = await person("ada", { proxy: line.proxy });
  // What a cut cable makes a browser complain about.
  ada.expect("net::ERR_");
  ada.expect("WebSocket connection to");
  ada.expect("status of 502");
  const page = await ada.context.newPage();

  await step("opens a terminal through a cable", async () => {
    await signUp(page, "Ada Lovelace");
    await createMachine(page, MACHINE);
    await untilState(page, "Running", 60_000);
    await newTerminal(page);
    await type(page, "mark=same-shell; mkdir -p work; cd work; PS1='$ '");
    await reads(page, /\n\$$/);
  });

  const cutFor = async (how) => {
    line.cut();
    await page.locator("[role=tabpanel][data-active]:not([data-status=live])").waitFor();
    await how();
    line.mend();
    await live(page);
  };

  await step("cuts it three times under output: nothing is lost or repeated", async () => {
    await type(page, `for i in $(seq ${LINES}); do echo "row-$i-$RANDOM"; sleep 0.002; done | tee rows.txt; echo all-$((6*7))`);
    await reads(page, /^row-\d+-/m);
    for (let cut = 0; cut < 3; cut++) {
      const before = Number(/row-(\d+)-/.exec((await screen(page)).split("\n").at(-2))?.[1] ?? 0);
      await cutFor(() => says(page, "The connection is lost"));
      await reads(page, new RegExp(`^row-(?!${before}-)`, "m"));
    }
    await picture(page, "terminals-after-cuts");
    await reads(page, /^all-42$/m, 120_000);
    const { name, text } = await transcript(page);
    check(name === `${MACHINE}-Terminal.txt`, `the transcript is called ${name}`);
    const shown = text.split("\n").filter((row) => /^row-\d+-\d+$/.test(row));
    check(shown.length === LINES, `${shown.length} of ${LINES} rows are shown, after ${line.cuts} cuts`);
    const inside = await digestInside(page, "rows.txt");
    check(inside === digest(`${shown.join("\n")}\n`), "the rows that are shown are not those in the file");
  });

  await step("cuts it under typing: everything is typed once", async () => {
    const words = Array.from({ length: WORDS }, (_, at) => `word-${at}-${"abcdefgh".slice(at % 8)}`);
    await type(page, "clear; cat > typed.txt");
    for (const [at, word] of words.entries()) {
      await page.keyboard.type(word);
      if (at % 20 === 10) {
        line.cut();
        await page.keyboard.type("-cut");
        words[at] += "-cut";
        line.mend();
      }
      await page.keyboard.press("Enter");
    }
    await live(page);
    await reads(page, new RegExp(`^${words.at(-1)}$`, "m"));
    await page.keyboard.press("Control+d");
    const inside = await digestInside(page, "typed.txt");
    check(inside === digest(`${words.join("\n")}\n`), "the file does not have what was typed");
    await type(page, "clear; echo it-is-the-$mark");
    await reads(page, /^it-is-the-same-shell$/m);
  });

  const id = await step("hibernates it", async () => {
    const id = await machineId(page);
    await part(page, "Terminal");
    await hibernate(page);
    return id;
  });

  await step("looks at the last screen without waking it", async () => {
    await page.reload();
    await says(page, /Asleep since \d\d:\d\d\. This is the last screen\./);
    await reads(page, /^it-is-the-same-shell$/m);
    await picture(page, "terminals-asleep");
    // It gets cold while somebody looks at it.
    await untilCold(id);
    await untilState(page, "Hibernated");
  });

  await step("wakes it with a key; the shell is gone, and a new one starts in its directory and its tab", async () => {
    await page.keyboard.press("Enter");
    await says(page, "this shell is gone. Files are still there.");
    await picture(page, "terminals-lost");
    await page.getByRole("button", { name: /^New shell in .*\/work$/ }).click();
    await live(page);
    await reads(page, /This is a new one\. —\n[^]*[$#]$/);
    await type(page, "basename $PWD; cat typed.txt | wc -l");
    await reads(page, new RegExp(`^work\\n${WORDS}$`, "m"));
    const { text } = await transcript(page);
    check(/it-is-the-same-shell[^]*The shell above has ended[^]*work/.test(text), `the old text is not above:\n${text}`);
    check((await page.getByRole("tablist", { name: "Terminals" }).getByRole("tab").count()) === 1, "there are two tabs");
  });

  await step("ends a shell, is told how, and starts another", async () => {
    await type(page, "exit 7");
    await says(page, "The shell exited with code 7.");
    await page.getByRole("button", { name: "Restart" }).click();
    await live(page);
    await reads(page, /exit 7\n[^]*This is a new one\. —\n[^]*[$#]$/);
    await type(page, "kill -9 $$");
    await says(page, "The shell was ended by signal 9 (KILL).");
    await page.getByRole("button", { name: "Restart" }).click();
    await live(page);
    await reads(page, /[$#]\s*$/);
  });

  await step("opens the same session in another window", async () => {
    await page.getByRole("button", { name: "More", exact: true }).click();
    const [other] = await Promise.all([
      ada.context.waitForEvent("page"),
      page.getByRole("menuitem", { name: "Open in another window" }).click(),
    ]);
    await live(other);
    check(other.url().startsWith(`${CONSOLE}/orgs/`), `the other window is at ${other.url()}`);
    await type(other, "echo from-$((5*5))");
    await reads(page, /^from-25$/m);
    await until("the other window is closed", async () => {
      await other.close();
      return other.isClosed();
    });
  });
});

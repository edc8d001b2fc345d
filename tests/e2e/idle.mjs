// A machine that nobody uses says so in its open terminals before it goes to sleep; a hold keeps it awake, and once it
// sleeps after all, the terminal says since when.
import { check, picture, script } from "./browser.mjs";
import { createMachine, live, newTerminal, reads, screen, signUp, type, untilState } from "./people.mjs";

/** The test gives machines of this name an idle timeout of 50 s, and so a warning of 10 s. */
const MACHINE = "drowsy";
const SOON = "Nobody has used this machine for a while: it goes to sleep in";

await script("idle", async ({ person, step }) => {
  const ada = await person("ada");
  const page = await ada.context.newPage();
  const warning = page.getByText(SOON, { exact: false });
  const warned = () => warning.waitFor({ timeout: 100_000 });
  await step("opens a terminal", async () => {
    await signUp(page, "Ada Lovelace");
    await createMachine(page, MACHINE);
    await untilState(page, "Running", 60_000);
    await newTerminal(page);
    await type(page, "cd /var/tmp; clear; echo here-$((1+1))");
    await reads(page, /^here-2$/m);
  });

  await step("is warned, and keeps it awake", async () => {
    await warned();
    await picture(page, "idle-warning");
    await page.getByRole("button", { name: "Keep awake…" }).click();
    const dialog = page.getByRole("dialog", { name: `Keep ${MACHINE} awake` });
    await dialog.getByLabel("What for").fill("A demonstration");
    await dialog.getByRole("button", { name: "Keep awake" }).click();
    await dialog.waitFor({ state: "hidden" });
    await warning.waitFor({ state: "hidden" });
    await live(page);
  });

  await step("on a phone in the dark, ends the hold and looks on while it falls asleep", async () => {
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByRole("button", { name: "Why is it awake?" }).click();
    await page.getByRole("button", { name: "End the hold: A demonstration" }).click();
    await page.keyboard.press("Escape");
    await warned();
    await picture(page, "idle-warning-phone-dark");
    const fits = () => document.documentElement.scrollWidth <= window.innerWidth;
    check(await page.evaluate(fits), "the page is wider than the phone");
    await page.getByText(/^Asleep since \d\d:\d\d/).waitFor({ timeout: 100_000 });
    check((await screen(page)).includes("sprite@"), "the screen is another one");
    await picture(page, "idle-asleep");
  });
});

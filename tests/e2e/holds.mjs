// Why a machine is awake, and keeping it so: the answer beside its state, a hold taken and ended, Hibernate over it.
import { check, picture, script } from "./browser.mjs";
import { createMachine, hibernate, newTerminal, part, reads, signUp, type, untilState } from "./people.mjs";

const MACHINE = "busy";
const REASON = "The import of March";

/** Opens the answer, if it is not open. */
async function why(page, question) {
  const answer = page.getByRole("dialog", { name: question });
  if (!(await answer.isVisible())) {
    await page.getByRole("button", { name: question }).click();
  }
  await answer.waitFor();
  return answer;
}

await script("holds", async ({ person, step }) => {
  const ada = await person("ada");
  const page = await ada.context.newPage();
  await step("signs up, creates a machine and types in it", async () => {
    await signUp(page, "Ada Lovelace");
    await createMachine(page, MACHINE);
    await untilState(page, "Running", 60_000);
    await newTerminal(page);
    await type(page, "echo sum-$((40+2))");
    await reads(page, /^sum-42$/m);
  });

  await step("asks why it is awake", async () => {
    const answer = await why(page, "Why is it awake?");
    await answer.getByText("a terminal was used").waitFor();
    await answer.getByText("It hibernates when nothing has happened for 15 minutes.").waitFor();
    await picture(page, "holds-why");
  });

  await step("keeps it awake for four hours", async () => {
    await page.getByRole("button", { name: "Keep awake…" }).click();
    const dialog = page.getByRole("dialog", { name: `Keep ${MACHINE} awake` });
    const send = dialog.getByRole("button", { name: "Keep awake" });
    check(await send.isDisabled(), "a hold without a reason can be sent");
    await dialog.getByLabel("What for").fill(REASON);
    await dialog.getByText("4 hours", { exact: true }).click();
    await picture(page, "holds-dialog");
    await send.click();
    await dialog.waitFor({ state: "hidden" });
    const answer = await why(page, "Why is it awake?");
    await answer.getByText(`Held by Ada Lovelace: ${REASON} · ends in 3 hr.`).waitFor();
    await answer.getByText("If nothing happens, it hibernates in 4 hr.").waitFor();
  });

  await step("on a phone, too, nothing is wider than the screen", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    const answer = await why(page, "Why is it awake?");
    const box = await answer.boundingBox();
    check(box.x >= 0 && box.x + box.width <= 390, `the answer is from ${box.x}, ${box.width} wide`);
    check(
      await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth),
      "the page is wider",
    );
    await picture(page, "holds-why-phone");
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  await step("ends it", async () => {
    const answer = await why(page, "Why is it awake?");
    await answer.getByRole("button", { name: `End the hold: ${REASON}` }).click();
    await answer.getByText(REASON).waitFor({ state: "hidden" });
    await answer.getByText(/it hibernates in 1[45] min/).waitFor();
    await page.keyboard.press("Escape");
    await answer.waitFor({ state: "hidden" });
  });

  await step("hibernates it, and asks again", async () => {
    await hibernate(page);
    const answer = await why(page, "Why is it not awake?");
    await answer.getByText("A hold does not wake it", { exact: false }).waitFor();
    await page.keyboard.press("Escape");
  });

  await step("the history says who held it", async () => {
    await part(page, "Activity");
    await page.getByText(`: ${REASON}`).first().waitFor();
    await page.getByText(`Hold ended early: ${REASON}`).waitFor();
  });
});

// Variables: a .env file that is pasted, read and shown before it is sent; a secret that nobody sees again; and what
// is started from then on has them.
import { check, picture, script } from "./browser.mjs";
import { createMachine, newTerminal, part, reads, signUp, type, untilState } from "./people.mjs";

const MACHINE = "vault";
const FILE = `# for development
export GREETING="hello\\nworld" # two lines
API_TOKEN='s3cret-$HOME'
EMPTY=
`;

function row(page, name) {
  return page.getByRole("table", { name: "Variables" }).getByRole("row").filter({ hasText: name });
}

await script("variables", async ({ person, step }) => {
  const ada = await person("ada");
  const page = await ada.context.newPage();
  await step("signs up, creates a machine and finds no variables", async () => {
    await signUp(page, "Ada Lovelace");
    await createMachine(page, MACHINE);
    await untilState(page, "Running", 60_000);
    await part(page, "Variables");
    await page.getByText("No variables yet").waitFor();
    await picture(page, "variables-empty");
  });

  const dialog = page.getByRole("dialog", { name: "Add variables" });
  await step("pastes a file, and is told what is wrong with it", async () => {
    await page.getByRole("button", { name: "Add variables" }).click();
    await dialog.getByText("Paste a .env file").click();
    const contents = dialog.getByLabel("Contents of the file");
    await contents.fill(`${FILE}PATH=/bin\nnonsense\n`);
    const wrong = dialog.getByRole("alert");
    await wrong.getByText(/^Line 5: .*belongs to/).waitFor();
    await wrong.getByText("Line 6: There is no = in this line.").waitFor();
    check(await dialog.getByRole("button", { name: /^Set/ }).isDisabled(), "a file with mistakes can be sent");
    await picture(page, "variables-mistakes");
    await contents.fill(FILE);
    await wrong.waitFor({ state: "hidden" });
    await dialog.getByRole("checkbox", { name: "GREETING is a secret" }).uncheck();
    await picture(page, "variables-file");
    await page.setViewportSize({ width: 390, height: 844 });
    const box = await dialog.boundingBox();
    check(box.x >= 0 && box.x + box.width <= 390, `the dialog is from ${box.x}, ${box.width} wide`);
    await picture(page, "variables-file-phone");
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  await step("sets them: what is no secret can be read, and nobody is shown a secret", async () => {
    await dialog.getByRole("button", { name: "Set 3 variables" }).click();
    await dialog.waitFor({ state: "hidden" });
    await row(page, "GREETING").getByText(/hello\s+world/).waitFor();
    await row(page, "API_TOKEN").getByText("Secret").waitFor();
    await page.getByText("This takes effect at the next start", { exact: false }).waitFor();
    const html = await page.content();
    check(!html.includes("s3cret"), "the page has the secret");
    await picture(page, "variables");
  });

  await step("what is started from then on has them", async () => {
    await part(page, "Terminal");
    await newTerminal(page);
    await type(page, 'echo "[$API_TOKEN]" "[${EMPTY-unset}]" "$GREETING" | tr "\\n" "+"; echo');
    await reads(page, /^\[s3cret-\$HOME\] \[\] hello\+world\+$/m);
  });

  await step("deletes one", async () => {
    await part(page, "Variables");
    await page.getByRole("button", { name: "Actions for API_TOKEN" }).click();
    await page.getByRole("menuitem", { name: "Delete…" }).click();
    const question = page.getByRole("dialog", { name: "Delete the variable API_TOKEN?" });
    await question.getByRole("button", { name: "Delete variable" }).click();
    await question.waitFor({ state: "hidden" });
    await row(page, "API_TOKEN").waitFor({ state: "hidden" });
    await row(page, "EMPTY").waitFor();
  });
});

// Writes the API's types from its OpenAPI document: to src/api/schema.d.ts, or elsewhere with `--output FILE`, so that
// `cargo xtask openapi --check` can compare them.
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import openapiTS, { astToString, COMMENT_HEADER } from "openapi-typescript";

const { values } = parseArgs({ options: { output: { type: "string", default: "src/api/schema.d.ts" } } });
const types = await openapiTS(new URL("../docs/openapi.json", import.meta.url), {
  // A field with a default may be left out of a request.
  defaultNonNullable: false,
  rootTypes: true,
  rootTypesNoSchemaPrefix: true,
});
await writeFile(values.output, COMMENT_HEADER + astToString(types));

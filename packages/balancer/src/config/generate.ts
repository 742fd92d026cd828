// Writes docs/config.md and the JSON Schema: bun packages/balancer/src/config/generate.ts. A test compares what is in the
// repository with what this would write.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { renderJsonSchema } from "./json-schema.ts";
import { renderConfigReference } from "./reference.ts";

const root = join(import.meta.dir, "../../../..");

/** What is made here: paths from the root of the repository, and texts. */
export const madeFiles: readonly { readonly path: string; render(): string }[] = [
  { path: "docs/config.md", render: renderConfigReference },
  { path: "packages/balancer/schema/plimsoll.schema.json", render: renderJsonSchema },
];

if (import.meta.main) {
  for (const { path, render } of madeFiles) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), render());
    console.log(path);
  }
}

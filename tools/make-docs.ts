// Writes the made documents into docs/. `npm run check` holds what is committed against what this would write.
import { join } from "node:path";
import { madeDocuments } from "./made-documents.ts";

const root = join(import.meta.dir, "..");
for (const { file, text } of madeDocuments()) {
  await Bun.write(join(root, file), text);
  console.log(file);
}

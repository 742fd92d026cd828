// The file system as loading needs it.
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { FileReader } from "./error-pages.ts";

/** Reads real files. Bytes that are not UTF-8 become U+FFFD. */
export const disk: FileReader = {
  resolve: (from, written) => resolve(dirname(from), written),
  readFile: (path) => readFileSync(path, "utf8"),
};

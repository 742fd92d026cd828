// The file system and the time as loading needs it.
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { FileReader } from "./file-reader.ts";

/** Reads real files. Bytes that are not UTF-8 become U+FFFD. */
export const disk: FileReader = {
  resolve: (from, written) => resolve(dirname(from), written),
  readFile: (path) => readFileSync(path, "utf8"),
  mode: (path) => statSync(path).mode & 0o777,
  wall: () => Date.now(),
};

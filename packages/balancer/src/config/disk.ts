// The file system and the time as loading needs it.
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { FileReader } from "./file-reader.ts";

/** Reads real files. Bytes that are not UTF-8 become U+FFFD. */
export const disk: FileReader = {
  resolve: (from, written) => resolve(dirname(from), written),
  readFile: (path) => readFileSync(path, "utf8"),
  probeAppend(path) {
    const file = statSync(path, { throwIfNoEntry: false });
    if (file?.isDirectory() === true) throw refusal("EISDIR", path);
    const folder = dirname(path);
    if (file === undefined && !statSync(folder).isDirectory()) throw refusal("ENOTDIR", folder);
    if (file === undefined) accessSync(folder, constants.W_OK | constants.X_OK);
    else accessSync(path, constants.W_OK);
  },
  mode: (path) => statSync(path).mode & 0o777,
  wall: () => Date.now(),
};

/** As the system would refuse it. */
function refusal(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

// How a worker is started: the same runtime with another entry; in a single executable, the same program with a hidden
// word, because there is no other file.
import { fileURLToPath } from "node:url";

/** The first argument that makes the single executable a worker; whoever reads its arguments must look for it. */
export const workerWord = "__worker";

/** Program and arguments that run a worker of this version. */
export function defaultWorkerCommand(): readonly string[] {
  const entry = fileURLToPath(new URL("./worker-entry.ts", import.meta.url));
  // Where `bun build --compile` puts what it embeds.
  const embedded = entry.startsWith("/$bunfs/");
  return embedded ? [process.execPath, workerWord] : [process.execPath, entry];
}

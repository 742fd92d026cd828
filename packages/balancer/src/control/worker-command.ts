// How a worker is started: the same runtime with another entry; in a single executable, the same program with a hidden
// word, because there is no other file.
import { fileURLToPath } from "node:url";

/** The first argument that makes the single executable a worker; whoever reads its arguments must look for it. */
export const workerWord = "__worker";

/** Whether this is the single executable: `bun build --compile` puts what it embeds there. */
export const isSingleFile: boolean = import.meta.url.startsWith("file:///$bunfs/");

/**
 * Starts this program again whatever has happened to its file meanwhile: a new version is installed over a running one, and
 * a worker that is replaced before the upgrade must still be of its supervisor's version. Linux only, as the balancer is.
 */
export const ownExecutable = "/proc/self/exe";

/** Program and arguments that run a worker of this version. */
export function defaultWorkerCommand(): readonly string[] {
  if (isSingleFile) return [ownExecutable, workerWord];
  return [process.execPath, fileURLToPath(new URL("./worker-entry.ts", import.meta.url))];
}

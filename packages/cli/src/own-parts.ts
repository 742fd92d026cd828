// The parts of this program that run as processes of their own. As npm installs it each is a file that Bun runs; in the single
// executable there are no files, so each is the executable again, with a hidden word as its first argument.
import { fileURLToPath } from "node:url";
import {
  defaultWorkerCommand,
  isSingleFile,
  ownExecutable,
  workerWord,
} from "@plimsoll/balancer/src/control/worker-command.ts";

/** Hidden words, and what each runs: it does its work when it is imported. */
export const ownParts: Readonly<Record<string, () => Promise<unknown>>> = {
  [workerWord]: () => import("@plimsoll/balancer/src/control/worker-entry.ts"),
  __module: () => import("./module-reader.ts"),
  // Written without types, because Node runs it too.
  __shop: () => import("../demo-shop/server.mjs" as string),
};

/** How a person calls this program, in what is printed for trying. */
export const calledAs: string = isSingleFile ? "plimsoll" : "npx plimsoll";

/** As the balancer would start a worker, with our flags. */
export function workerCommand(): readonly string[] {
  const [program = process.execPath, ...rest] = defaultWorkerCommand();
  return [program, ...ownFlags(), ...rest];
}

/** Runs a configuration written in TypeScript. */
export function moduleReaderCommand(file: string): readonly string[] {
  return [...partCommand("__module", "./module-reader.ts"), file];
}

/** The demonstration's shop: with Node where it is at hand, as its sessions and keep-alive are what it is about. */
export function shopCommand(): readonly string[] {
  const node = isSingleFile ? null : Bun.which("node");
  const [program, ...rest] = partCommand("__shop", "../demo-shop/server.mjs");
  return node === null ? [program, ...rest] : [node, ...rest.slice(-1)];
}

function partCommand(word: string, file: string): readonly [string, ...string[]] {
  if (isSingleFile) return [ownExecutable, word];
  return [process.execPath, ...ownFlags(), fileURLToPath(new URL(file, import.meta.url))];
}

/**
 * The flags that keep Bun from reading the current folder's .env and bunfig.toml, as the launcher gave them. The executable has
 * its own built in, shows them as if they had been given, and would take them for arguments.
 */
function ownFlags(): readonly string[] {
  return isSingleFile ? [] : process.execArgv;
}

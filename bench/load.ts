// Load by a program of ours, for what wrk does not speak: pinned to wrk's core, and what it printed read back.
import { join } from "node:path";
import { cores, pinned } from "./cores.ts";
import type { Seen } from "./wrk.ts";

/** Runs one of the programs beside this file until it ends. Throws when it fails. */
export async function runLoad(file: string, args: readonly (string | number)[]): Promise<Seen> {
  const argv = pinned(cores.load, [process.execPath, join(import.meta.dir, file), ...args.map(String)]);
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const out = await child.stdout.text();
  const code = await child.exited;
  if (code !== 0) throw new Error(`${file} ended with ${code}`);
  return JSON.parse(out) as Seen;
}

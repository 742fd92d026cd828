// Runs a file of this repository with the pinned Bun, on a machine that may have only Node and npm.
// Knows where npm puts Bun's binary and nothing of what is run. Plain Node 20, no dependencies.
//
//   node tools/bun.mjs [--setup] <file.ts> [arguments]
//
// Bun's install script moves the binary out of its platform package into the package `bun`. Where npm runs no install
// scripts (`--ignore-scripts`, or npm's own refusal) it is still in the platform package, and what lies in `bun` is a
// placeholder of a few hundred bytes that does not work. So both places are looked at, and size tells.
import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { setUp } from "./setup.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Names of the platform packages that could hold a binary for a machine, best first. `glibc` is its version, undefined where
 * there is none (musl).
 */
export function candidates(platform, arch, glibc) {
  const cpu = arch === "arm64" ? "aarch64" : arch;
  const system = platform === "win32" ? "windows" : platform;
  const base = `bun-${system}-${cpu}`;
  if (system !== "linux") return [base, `${base}-baseline`];
  const variants = [base, `${base}-baseline`];
  const musl = [`${base}-musl`, `${base}-musl-baseline`];
  return glibc ? [...variants, ...musl] : [...musl, ...variants];
}

/** Path of the Bun binary, or undefined when none is installed. */
export function findBun() {
  const glibc = process.report?.getReport?.().header?.glibcVersionRuntime;
  const folders = [...candidates(process.platform, process.arch, glibc).map((name) => join("@oven", name)), "bun"];
  for (const folder of folders) {
    for (const file of ["bun", "bun.exe"]) {
      const path = join(root, "node_modules", folder, "bin", file);
      if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 1_000_000) return path;
    }
  }
  return undefined;
}

function main(args) {
  if (args[0] === "--setup") {
    args = args.slice(1);
    const problem = setUp(root);
    if (problem) fail(problem);
  }
  const bun = findBun();
  if (!bun) fail(`Bun is not installed for ${process.platform}-${process.arch}. Run: npm install`);
  const child = spawn(bun, args, { stdio: "inherit" });
  // A terminal signals the whole group, but `kill` and CI runners signal only this process: pass it on.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`${bun}: ${error.message}`));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

function fail(message) {
  console.error(message);
  process.exit(2);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main(process.argv.slice(2));

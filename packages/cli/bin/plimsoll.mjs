#!/usr/bin/env node
// The command `plimsoll` as npm installs it: finds Bun and hands over to src/main.ts. Runs under Node or Bun.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { candidates, firstProgram, wantedVersion } from "./find-bun.mjs";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
// Bun would otherwise read .env, bunfig.toml (whose `preload` runs code) and missing packages from the folder in which the
// command is called, which belongs to the user's application.
const flags = ["--no-env-file", `--config=${process.platform === "win32" ? "NUL" : "/dev/null"}`, "--no-install"];

if (process.versions.bun === wantedVersion) {
  process.argv[1] = main;
  await import(main);
} else {
  const bun = firstProgram(candidates(dirname(fileURLToPath(import.meta.url)), process.env.PATH ?? ""));
  if (bun === null) {
    process.stderr.write(
      `plimsoll: the Bun runtime (${wantedVersion}) is not installed beside this package, nor on the PATH.\n` +
        `Its binary comes from npm with the package "bun"; an install with --omit=optional leaves it out.\n` +
        `Try: npm install bun@${wantedVersion}\n`,
    );
    process.exit(127);
  }
  hand(bun, [...flags, main, ...process.argv.slice(2)]);
}

/** Becomes the program where the system call for it can be had (Node 22.15 and up); else runs it and stands aside. */
function hand(program, args) {
  if (typeof process.execve === "function" && process.platform !== "win32") {
    try {
      process.execve(program, [program, ...args], process.env);
    } catch {
      // Not possible here (a permission model, or a libc without it): the long way does the same.
    }
  }
  const child = spawn(program, args, { stdio: "inherit" });
  // Ctrl-C goes to the whole foreground group, so the program sees it twice; it takes two within half a second for one.
  const passed = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"];
  for (const signal of passed) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(`plimsoll: ${program} could not be started: ${error.message}\n`);
    process.exit(126);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // Die the same way, so that whoever waits for us sees what happened.
    for (const name of passed) process.removeAllListeners(name);
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100);
  });
}

// The entry: bin/plimsoll.mjs starts this file under Bun.
import { writeSync } from "node:fs";
import { ownParts } from "./own-parts.ts";
import type { Io } from "./spec.ts";
import { versionFacts } from "./version.ts";

const io: Io = {
  out: (text) => write(1, text),
  err: (text) => write(2, text),
  env: process.env,
  cwd: process.cwd(),
  colour: mayColour(),
  columns: columns(),
};

const part = Object.hasOwn(ownParts, process.argv[2] ?? "") ? ownParts[process.argv[2] ?? ""] : undefined;
if (part !== undefined) {
  await part();
  // What it began decides when it is over.
  await new Promise(() => {});
}

try {
  // Here and not above: a part that is not this program does without.
  const [{ commands }, { runProgram }] = await Promise.all([import("./commands.ts"), import("./program.ts")]);
  process.exitCode = await runProgram(commands, process.argv.slice(2), io, versionFacts().version);
} catch (error) {
  io.err(
    `plimsoll: an unexpected error, which is a defect of ours: ${error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exitCode = 1;
}
// A command that resolved is done: nothing it left open (a keep-alive connection to the admin address) may hold us here.
process.exit();

/** NO_COLOR as on no-color.org; FORCE_COLOR for logs that are read in colour elsewhere. */
function columns(): number {
  const told = Number(process.env["COLUMNS"]);
  return process.stdout.columns ?? (Number.isSafeInteger(told) && told > 0 ? told : 100);
}

function mayColour(): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0") return true;
  return process.stdout.isTTY && TERM !== "dumb";
}

/** Writes at once, so that nothing is lost at exit. A reader that went away (`| head`) ends us quietly. */
function write(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EAGAIN") Bun.sleepSync(1);
      else if (code === "EPIPE") process.exit(0);
      else return;
    }
  }
}

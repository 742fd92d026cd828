// `plimsoll upgrade`
import { accessSync, constants, statSync } from "node:fs";
import { resolve } from "node:path";
import type { UpgradeResult } from "@plimsoll/balancer/src/control/handover/upgrade.ts";
import {
  isAlive,
  leaveOrder,
  runningPrograms,
  runtimeBases,
} from "@plimsoll/balancer/src/control/runtime-directory.ts";
import {
  adminError,
  adminOption,
  askAdmin,
  findRunning,
  type AdminAnswer,
  type RunningTarget,
} from "../admin-client.ts";
import { CommandError, exitCode, UsageError, type CommandSpec, type Io } from "../spec.ts";
import { duration, type HostPort } from "../values.ts";

interface Options {
  readonly admin?: HostPort;
  readonly binary?: string;
  readonly timeout: number;
  readonly wait?: boolean;
  readonly json?: boolean;
}

/** Ms beyond the program's own patience until its answer is given up. */
const margin = 10_000;
/** The admin API answers within 255 s. */
const longest = 240_000;
/** Ms that a new program gets to say that it serves where the old one cannot say so any more. */
const orphaned = 15_000;

export const upgrade: CommandSpec<Options> = {
  name: "upgrade",
  summary: "have a new version take over from a running balancer, without losing a connection",
  about:
    "The running program starts the new one with its own arguments, from the files as they are now or from --binary, and\n" +
    "hands it its listening sockets, its admin address and what it knows of the endpoints. Only when every worker of the\n" +
    "new one serves does the old one stop accepting; it finishes what is in flight within its shutdown window, and exits.\n" +
    "If the new one does not come up, nothing has changed. SIGUSR2 does the same.",
  options: [
    adminOption,
    {
      flags: "-b, --binary <path>",
      about: "program to start instead of the present one; only for the user that runs it",
      complete: "file",
    },
    {
      flags: "--timeout <time>",
      about: "longest wait until the new program serves",
      fallback: "1m",
      parse: (text) => {
        const ms = duration(text);
        if (ms > longest) throw new UsageError("It is 4m at most.");
        return ms;
      },
    },
    { flags: "--wait", about: "wait until the old program is gone, too" },
    { flags: "--json", about: "print JSON" },
  ],
  examples: [
    [
      "plimsoll upgrade",
      "after a new version was installed in place; exit code 1: it did not come up, nothing changed",
    ],
    ["plimsoll upgrade --binary ./plimsoll-0.2.0", "another executable takes over"],
  ],
  async run({ options, io }) {
    const target = findRunning(io, options.admin);
    const binary = options.binary === undefined ? null : executable(resolve(io.cwd, options.binary));
    if (target.program !== null) leaveOrder(target.program, { binary, patience: options.timeout });
    else if (binary !== null) {
      throw new CommandError(
        "--binary is for a balancer that this user runs on this machine: the admin API alone starts no other program.",
      );
    }
    if (target.admin === "") {
      process.kill(target.pid, "SIGUSR2");
      io.out(
        `Process ${target.pid} has no admin address; it was sent SIGUSR2 and says in its log what became of it.\n`,
      );
      return exitCode.ok;
    }
    const answer = await ask(io, target, options.timeout);
    const result = answer.body as UpgradeResult;
    if (answer.status !== 200) {
      if (options.json === true) io.out(`${JSON.stringify(answer.body)}\n`);
      throw new CommandError(`Nothing was changed: ${adminError(answer)}`);
    }
    if (!result.ok) throw new CommandError(`Nothing was changed: ${result.problem}`);
    while (options.wait === true && isAlive(result.replaced)) await Bun.sleep(50);
    if (options.json === true) io.out(`${JSON.stringify(result)}\n`);
    else {
      const old =
        options.wait === true || !isAlive(result.replaced)
          ? `process ${result.replaced}, which is gone`
          : `process ${result.replaced}, which finishes what is in flight`;
      io.out(`Process ${result.pid}, version ${result.version}, has taken over from ${old}.\n`);
    }
    return exitCode.ok;
  },
};

/** Asks for it. Who was to answer may be killed in the middle of it: then it is seen what came of that. */
async function ask(io: Io, target: RunningTarget, patience: number): Promise<AdminAnswer> {
  try {
    return await askAdmin(target.admin, "POST", "/upgrade", undefined, patience + margin);
  } catch (error) {
    const replaced = target.program?.pid ?? 0;
    if (replaced === 0) throw error;
    for (let waited = 0; isAlive(replaced); waited += 50) {
      // Its parent may take a moment to see that it is gone.
      if (waited >= 1_000) throw error;
      await Bun.sleep(50);
    }
    for (let waited = 0; waited < Math.min(orphaned, patience); waited += 100) {
      const heir = runningPrograms(runtimeBases(io.env)).find((program) => program.replaces === replaced);
      if (heir !== undefined) {
        return {
          status: 200,
          body: { ok: true, pid: heir.pid, version: heir.version, replaced } satisfies UpgradeResult,
        };
      }
      await Bun.sleep(100);
    }
    throw new CommandError(
      `Process ${replaced} was ended in the middle of its upgrade, and no other has taken over: start the balancer again.`,
    );
  }
}

function executable(path: string): string {
  try {
    accessSync(path, constants.X_OK);
  } catch (error) {
    throw new UsageError(`${path} cannot be run: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`);
  }
  if (!statSync(path).isFile()) throw new UsageError(`${path} is no program.`);
  return path;
}

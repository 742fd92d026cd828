// The manager with the real world around it.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { systemClock, systemRandom, systemTimers } from "../../net/clock.ts";
import { runCommand } from "../../net/run-command.ts";
import type { Log } from "../../observe/log.ts";
import type { ChangeResult } from "../reload.ts";
import { AcmeManager } from "./manager.ts";

/** `refresh` composes what runs anew, and applies it. */
export function createAcme(log: Log, version: string, refresh: (why: string) => Promise<ChangeResult>): AcmeManager {
  return new AcmeManager({
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    log,
    publish: async (why) => {
      const result = await refresh(why);
      return result.ok ? "" : result.problems.join("; ");
    },
    runCommand,
    readFile: (path) => readFileSync(path, "utf8"),
    obtaining: () => import("./obtain.ts"),
    nonce: randomUUID(),
    version,
  });
}

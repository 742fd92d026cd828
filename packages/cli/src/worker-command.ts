// How workers are started from here.
import { defaultWorkerCommand } from "@plimsoll/balancer/src/control/worker-command.ts";

/** As the balancer would, with the flags that keep Bun from reading the current folder's .env and bunfig.toml. */
export function workerCommand(): readonly string[] {
  const [program = process.execPath, ...rest] = defaultWorkerCommand();
  return [program, ...process.execArgv, ...rest];
}

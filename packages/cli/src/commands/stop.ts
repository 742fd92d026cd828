// `plimsoll stop`
import { isAlive } from "@plimsoll/balancer/src/control/runtime-directory.ts";
import { adminOption, findRunning } from "../admin-client.ts";
import { askStatus } from "../live-status.ts";
import { CommandError, exitCode, type CommandSpec } from "../spec.ts";
import { duration, type HostPort } from "../values.ts";

interface Options {
  readonly admin?: HostPort;
  readonly timeout: number;
}

export const stop: CommandSpec<Options> = {
  name: "stop",
  summary: "stop a running balancer in order, and wait until it is gone",
  about: "Sends SIGTERM: readiness turns, what is in flight finishes, up to the configured window.",
  options: [
    adminOption,
    {
      flags: "--timeout <time>",
      about: "longest wait; then it goes on stopping by itself",
      fallback: "2m",
      parse: duration,
    },
  ],
  examples: [["plimsoll stop", "exit code 0 when it is gone"]],
  async run({ options, io }) {
    const target = findRunning(io, options.admin);
    const pid = target.pid === 0 ? (await askStatus(target.admin)).pid : target.pid;
    try {
      process.kill(pid, "SIGTERM");
    } catch (error) {
      throw new CommandError(`Process ${pid} cannot be signalled: ${(error as Error).message}`);
    }
    const until = performance.now() + options.timeout;
    while (isAlive(pid)) {
      if (performance.now() > until) throw new CommandError(`Process ${pid} is still finishing what is in flight.`);
      await Bun.sleep(50);
    }
    io.out(`Process ${pid} has stopped.\n`);
    return exitCode.ok;
  },
};

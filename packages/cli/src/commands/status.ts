// `plimsoll status`
import { adminOption, findRunning } from "../admin-client.ts";
import { askStatus, renderStatus } from "../live-status.ts";
import { CommandError, exitCode, type CommandSpec } from "../spec.ts";
import type { HostPort } from "../values.ts";

interface Options {
  readonly admin?: HostPort;
  readonly json?: boolean;
  readonly ready?: boolean;
}

export const status: CommandSpec<Options> = {
  name: "status",
  summary: "show what a running balancer does now",
  options: [
    adminOption,
    { flags: "--json", about: "print JSON, as GET /status gives it" },
    { flags: "--ready", about: "only say whether it wants traffic; exit code 1 if not: for health checks" },
  ],
  examples: [
    ["plimsoll status", "listeners, pools and endpoints"],
    ["plimsoll status --ready", "exit code 0 while it wants traffic"],
  ],
  async run({ options, io }) {
    const { admin, pid } = findRunning(io, options.admin);
    if (admin === "") throw new CommandError(`The balancer in process ${pid} has no admin address to ask.`);
    const found = await askStatus(admin);
    if (options.ready === true) {
      const served = found.workers.some(({ serving }) => serving);
      const wants = found.readiness === "ready" && served;
      io.out(wants ? "ready\n" : `not ready: ${served ? found.readiness : "no worker serves"}\n`);
      return wants ? exitCode.ok : exitCode.failed;
    }
    io.out(options.json === true ? `${JSON.stringify(found)}\n` : renderStatus(found));
    return exitCode.ok;
  },
};

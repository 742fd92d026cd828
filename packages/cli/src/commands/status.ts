// `plimsoll status`
import { adminOption, findRunning } from "../admin-client.ts";
import { askStatus, renderStatus } from "../live-status.ts";
import { CommandError, exitCode, type CommandSpec } from "../spec.ts";
import type { HostPort } from "../values.ts";

interface Options {
  readonly admin?: HostPort;
  readonly json?: boolean;
}

export const status: CommandSpec<Options> = {
  name: "status",
  summary: "show what a running balancer does now",
  options: [adminOption, { flags: "--json", about: "print JSON, as GET /status gives it" }],
  examples: [["plimsoll status", "listeners, pools and endpoints"]],
  async run({ options, io }) {
    const { admin, pid } = findRunning(io, options.admin);
    if (admin === "") throw new CommandError(`The balancer in process ${pid} has no admin address to ask.`);
    const found = await askStatus(admin);
    io.out(options.json === true ? `${JSON.stringify(found)}\n` : renderStatus(found));
    return exitCode.ok;
  },
};

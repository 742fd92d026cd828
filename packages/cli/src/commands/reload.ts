// `plimsoll reload`
import type { ChangeResult } from "@plimsoll/balancer/src/control/reload.ts";
import { adminError, adminOption, askAdmin, findRunning } from "../admin-client.ts";
import { CommandError, exitCode, type CommandSpec } from "../spec.ts";
import type { HostPort } from "../values.ts";

interface Options {
  readonly admin?: HostPort;
  readonly json?: boolean;
}

export const reload: CommandSpec<Options> = {
  name: "reload",
  summary: "have a running balancer read its configuration again",
  about: "All or nothing: a configuration with an error changes nothing, and the error is shown here.",
  options: [adminOption, { flags: "--json", about: "print JSON" }],
  examples: [["plimsoll reload", "exit code 0: applied; 1: refused, nothing has changed"]],
  async run({ options, io }) {
    const target = findRunning(io, options.admin);
    if (target.admin === "") {
      process.kill(target.pid, "SIGHUP");
      io.out(`Process ${target.pid} has no admin address; it was sent SIGHUP and says in its log what became of it.\n`);
      return exitCode.ok;
    }
    const answer = await askAdmin(target.admin, "POST", "/reload");
    const result = answer.body as Partial<ChangeResult> | null;
    if (options.json === true) io.out(`${JSON.stringify(result)}\n`);
    if (result?.ok !== true) {
      if (options.json === true) return exitCode.failed;
      throw new CommandError(`Nothing was changed:\n${adminError(answer)}`);
    }
    if (options.json === true) return exitCode.ok;
    const { changes = [], notes = [] } = result;
    io.out(changes.length === 0 ? "Nothing had changed.\n" : `${changes.join("\n")}\n`);
    for (const note of notes) io.err(`note: ${note}\n`);
    return exitCode.ok;
  },
};

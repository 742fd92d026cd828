// `plimsoll run`
import { takeActivation } from "@plimsoll/balancer/src/control/service/activation.ts";
import { meetPredecessor, takeOverFrom } from "../take-over.ts";
import { startAgain } from "../start-again.ts";
import { configOption, findConfig, readConfig } from "../config-file.ts";
import { CommandError, exitCode, UsageError, type CommandSpec } from "../spec.ts";
import { showHostPort } from "../values.ts";

interface Options {
  readonly config?: string;
  readonly logFormat: "text" | "json";
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

export const run: CommandSpec<Options> = {
  name: "run",
  summary: "run the balancer from a configuration",
  about:
    "Prints one line for each listener once all workers serve. SIGHUP or `plimsoll reload` reads the configuration again,\n" +
    "SIGTERM or Ctrl-C stops in order (a second one at once), SIGUSR1 opens the access log's file again, SIGUSR2 or\n" +
    "`plimsoll upgrade` has a new version take over.",
  options: [
    configOption,
    {
      flags: "--log-format <format>",
      about: "events on stderr as text or json",
      fallback: "text",
      parse: oneOf("text", "json"),
      complete: ["text", "json"],
    },
    {
      flags: "--log-level <level>",
      about: "least important events shown: debug, info, warn, error",
      fallback: "info",
      parse: oneOf("debug", "info", "warn", "error"),
      complete: ["debug", "info", "warn", "error"],
    },
  ],
  examples: [["plimsoll run -c site.yaml", "until it is told to stop"]],
  async run({ options, io }) {
    const file = findConfig(io, options.config);
    const activation = takeActivation(process.env, process.pid);
    const predecessor = meetPredecessor();
    const config = await readConfig(io, file).catch((error: Error) => {
      predecessor?.failed(error.message);
      throw error;
    });
    if (config.report !== "") io.err(`${config.report}\n`);
    if (config.plan === null) {
      predecessor?.failed(`${file} cannot be run:\n${config.report.trimEnd()}`);
      throw new CommandError(`${file} cannot be run.`);
    }
    const { createLog } = await import("@plimsoll/balancer/src/observe/log.ts");
    const { startBalancer } = await import("../start-balancer.ts");
    const log = createLog({ format: options.logFormat, level: options.logLevel, write: io.err, wall: Date.now });
    const inherited = predecessor === null ? null : await takeOverFrom(predecessor);
    const supervisor = await startBalancer({
      plan: config.plan,
      log,
      again: startAgain(),
      activation,
      ...(inherited === null ? {} : { inherited }),
      reloadPlan: async () => {
        const again = await readConfig(io, file);
        return again.plan === null ? { problems: again.problems } : { plan: again.plan, warnings: again.problems };
      },
    });
    for (const listener of supervisor.status().listeners) {
      io.out(`${listener.name} ${listener.scheme}://${showHostPort(listener)}\n`);
    }
    if (supervisor.adminUrl !== "") io.out(`admin ${supervisor.adminUrl}\n`);
    return (await supervisor.stopped) === 0 ? exitCode.ok : exitCode.failed;
  },
};

function oneOf(...allowed: readonly string[]): (text: string) => string {
  return (text) => {
    if (!allowed.includes(text)) throw new UsageError(`It is one of ${allowed.join(", ")}, not "${text}".`);
    return text;
  };
}

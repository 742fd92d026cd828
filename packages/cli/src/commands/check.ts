// commands/: one file per command: its help, its options, and a `run` that calls what does the work.
// It must not know how arguments are parsed (program.ts), and imports what is heavy inside `run`: `version` must start at once.

// This file: `plimsoll check`
import { configOption, findConfig, readConfig } from "../config-file.ts";
import { exitCode, type CommandSpec } from "../spec.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

export const check: CommandSpec<Options> = {
  name: "check",
  summary: "check a configuration without running it",
  about: "Reports every error and warning at its place. Exit code 0: it can be run; 1: it has errors; 2: wrong usage.",
  options: [configOption, { flags: "--json", about: "print JSON" }],
  examples: [
    ["plimsoll check", "plimsoll.yaml in this folder"],
    ["plimsoll check -c site.yaml --json", "for an editor or a pipeline"],
  ],
  async run({ options, io }) {
    const config = await readConfig(io, findConfig(io, options.config));
    const errors = config.problems.filter((problem) => problem.severity === "error").length;
    const warnings = config.problems.length - errors;
    if (options.json === true) {
      io.out(
        `${JSON.stringify({ file: config.file, ok: config.plan !== null, errors, warnings, problems: config.problems })}\n`,
      );
    } else {
      if (config.report !== "") io.out(`${config.report}\n`);
      const verdict = config.plan === null ? "cannot be run" : "can be run";
      io.out(`${config.file} ${verdict}: ${count(errors, "error")}, ${count(warnings, "warning")}\n`);
    }
    return config.plan === null ? exitCode.failed : exitCode.ok;
  },
};

function count(number: number, what: string): string {
  return `${number === 0 ? "no" : number} ${what}${number === 1 ? "" : "s"}`;
}

// `plimsoll version`
import { exitCode, type CommandSpec } from "../spec.ts";
import { versionFacts } from "../version.ts";

interface Options {
  readonly json?: boolean;
}

export const version: CommandSpec<Options> = {
  name: "version",
  summary: "print the version of plimsoll and of what runs it",
  options: [{ flags: "--json", about: "print JSON" }],
  examples: [["plimsoll version --json", "for scripts and bug reports"]],
  async run({ options, io }) {
    const facts = versionFacts();
    io.out(
      options.json === true
        ? `${JSON.stringify(facts)}\n`
        : `plimsoll ${facts.version} (Bun ${facts.bun}, ${facts.platform} ${facts.arch})\n`,
    );
    return exitCode.ok;
  },
};

// `plimsoll completions`
import { exitCode, UsageError, type CommandSpec } from "../spec.ts";

/** The command for a table that it is itself part of. */
export const completions = (table: () => readonly CommandSpec[]): CommandSpec => ({
  name: "completions",
  summary: "print a completion script for bash, zsh or fish",
  args: [{ name: "<shell>", about: "bash, zsh or fish", complete: ["bash", "zsh", "fish"] }],
  options: [],
  examples: [
    ["source <(plimsoll completions bash)", "for this shell; put it into ~/.bashrc to keep it"],
    ["plimsoll completions zsh > ~/.zfunc/_plimsoll", "with ~/.zfunc in $fpath"],
    ["plimsoll completions fish > ~/.config/fish/completions/plimsoll.fish", "for every new fish"],
  ],
  async run({ args, io }) {
    const { completionScript, shells } = await import("../completions.ts");
    const shell = shells.find((name) => name === args[0]);
    if (shell === undefined) throw new UsageError(`Completions exist for ${shells.join(", ")}, not "${args[0]}".`);
    io.out(completionScript(shell, table()));
    return exitCode.ok;
  },
});

// Commands that are announced and not built yet: they say so, and change nothing.
import { exitCode, type CommandSpec } from "../spec.ts";

export const audit = notYet(
  "audit",
  "audit an application: session state, health endpoint, longest requests",
  "plimsoll audit -- npm start",
);
export const top = notYet("top", "watch a running balancer live", "plimsoll top");

function notYet(name: string, summary: string, example: string): CommandSpec {
  return {
    name,
    summary: `${summary} (not available yet)`,
    args: [{ name: "[anything...]", about: "ignored so far" }],
    options: [],
    passThrough: true,
    examples: [[example, "not available yet"]],
    run({ io }) {
      io.err(`plimsoll: ${name} is not available yet.\n`);
      return Promise.resolve(exitCode.usage);
    },
  };
}

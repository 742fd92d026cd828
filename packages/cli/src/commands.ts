// The table of commands, in the order in which help shows them.
import { completions } from "./commands/completions.ts";
import { version } from "./commands/version.ts";
import type { CommandSpec } from "./spec.ts";

export const commands: readonly CommandSpec[] = [completions, version];

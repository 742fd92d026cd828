// The table of commands, in the order in which help shows them.
import { cert } from "./commands/cert.ts";
import { check } from "./commands/check.ts";
import { completions } from "./commands/completions.ts";
import { demo } from "./commands/demo.ts";
import { disable, drain, enable, undrain } from "./commands/endpoint-state.ts";
import { explain } from "./commands/explain.ts";
import { audit, top } from "./commands/not-yet.ts";
import { reload } from "./commands/reload.ts";
import { run } from "./commands/run.ts";
import { status } from "./commands/status.ts";
import { stop } from "./commands/stop.ts";
import { up } from "./commands/up.ts";
import { upgrade } from "./commands/upgrade.ts";
import { version } from "./commands/version.ts";
import type { CommandSpec } from "./spec.ts";

export const commands: readonly CommandSpec[] = [
  up,
  demo,
  run,
  check,
  explain,
  cert,
  status,
  reload,
  upgrade,
  stop,
  drain,
  undrain,
  disable,
  enable,
  audit,
  top,
  completions(() => commands),
  version,
];

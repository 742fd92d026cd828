// How this program is started again, for an upgrade: with the same arguments, by the same runtime or by another program.
import type { StartAgain } from "@plimsoll/balancer/src/control/handover/upgrade.ts";

/** How the runtime was started; `process` has it all. */
export interface Started {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  readonly argv: readonly string[];
}

/** From the files as they are then: a newer version that was installed in place is what starts. */
export function startAgain({ execPath, execArgv, argv }: Started = process): StartAgain {
  const [, entry = "", ...args] = argv;
  // A single executable has its files within itself, and needs no entry.
  const same = entry.startsWith("/$bunfs/") ? [execPath] : [execPath, ...execArgv, entry];
  return { command: (binary) => [...(binary === null ? same : [binary]), ...args] };
}

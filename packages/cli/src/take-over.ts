// The program that this one takes over from, when it was started by an upgrade.
import { Predecessor } from "@plimsoll/balancer/src/control/handover/predecessor.ts";
import type { SupervisorOptions } from "@plimsoll/balancer/src/control/supervisor.ts";
import { systemTimers } from "@plimsoll/balancer/src/net/clock.ts";
import { CommandError } from "./spec.ts";
import { versionFacts } from "./version.ts";

/** Null when nobody is to be taken over from; a CommandError when it is not there. */
export function meetPredecessor(): Predecessor | null {
  try {
    return Predecessor.meet(process.env, versionFacts().version, systemTimers);
  } catch (error) {
    throw new CommandError(`There is nobody to take over from: ${(error as Error).message}`);
  }
}

/** All that it gives; a CommandError when it gives nothing. */
export async function takeOverFrom(predecessor: Predecessor): Promise<NonNullable<SupervisorOptions["inherited"]>> {
  const given = await predecessor.given();
  if ("problem" in given) throw new CommandError(`Cannot take over: ${given.problem}.`);
  return { predecessor, given };
}

// What everything in a run has in common.
import type { Random } from "../../packages/balancer/src/base/random.ts";
import type { SharedTable } from "../../packages/balancer/src/observe/table.ts";
import type { Agenda } from "./agenda.ts";
import type { Site } from "./site.ts";
import type { Trace } from "./trace.ts";

export interface Scene {
  readonly agenda: Agenda;
  readonly random: Random;
  readonly table: SharedTable;
  readonly trace: Trace;
  /** By slot. */
  readonly sites: readonly Site[];
  /** What is done wrong on purpose, so that a test can see that it is found. */
  readonly sabotage: Sabotage;
  /** Times of requests and of allowed retries, and of new workers. */
  readonly requests: number[];
  readonly retries: number[];
  readonly births: number[];
}

export type Sabotage = "" | "any endpoint" | "no end" | "no budget" | "eject all" | "heavy" | "deaf" | "early cut";

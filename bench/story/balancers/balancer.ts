// What the story asks of a balancer. Each is one file with the best configuration of it that we know for this work; whoever
// knows a better one, please say so. Must not know the chapters.
import type { Program } from "@plimsoll/testbed/processes";
import type { Command } from "../../rivals/rival.ts";

/** The same for all; each says it in its own words. */
export interface StorySetting {
  readonly port: number;
  readonly adminPort: number;
  readonly folder: string;
  readonly endpoints: readonly string[];
  /** Readiness at /readyz, for those that have probes; ms. */
  readonly probe: { readonly interval: number; readonly timeout: number; readonly rise: number; readonly fall: number };
  /** Ms. */
  readonly connect: number;
  /** Ms from the request to the first byte of its answer. */
  readonly firstByte: number;
  /** The applications' keep-alive in ms, for those that have to be told. */
  readonly keepAlive: number;
  /** Longest time from the begin of a drain until what is left is cut, ms. */
  readonly window: number;
}

export interface StoryBalancer {
  readonly name: string;
  /** Version, or undefined when it is not installed. */
  find(): Promise<string | undefined>;
  /** Writes its configuration and says how to start it. */
  prepare(setting: StorySetting): Promise<Command>;
  /** Tells it, as its operators would, that an endpoint gets no new work; what is left is cut at the end of the window. */
  leave(running: RunningBalancer, endpoint: string): Promise<void>;
  /** What its operators do at the end of the window. */
  windowEnds(running: RunningBalancer, endpoint: string): Promise<void>;
  /** Takes the endpoint in again. */
  comeBack(running: RunningBalancer, endpoint: string): Promise<void>;
}

export interface RunningBalancer {
  readonly kind: StoryBalancer;
  readonly name: string;
  readonly port: number;
  readonly program: Program;
  readonly setting: StorySetting;
  /** Endpoints that were told to leave. */
  readonly left: Set<string>;
}

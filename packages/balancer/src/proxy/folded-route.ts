// A route as a worker runs it: everything that can be prepared before the first request is prepared here, once.
import type { Pool } from "../pool/pool.ts";
import type { PoolTimeouts } from "../pool/plan.ts";
import type { StickyRequest } from "../pool/stick/stick.ts";
import type { DeadlineField } from "./deadline.ts";
import type { RoutePlan } from "./plan.ts";
import type { RetryRules } from "./retry.ts";
import type { FixedAnswer } from "./steps/fixed.ts";
import type { HeaderEdits } from "./steps/header-edits.ts";
import type { RedirectStep } from "./steps/redirect.ts";
import type { RewriteStep } from "./steps/rewrite.ts";

/** A pool as one route uses it: its own settings with what the route overrides. */
export interface Destination {
  readonly pool: Pool;
  readonly timeouts: PoolTimeouts;
  readonly retry: RetryRules;
  /** The header that carries what time is left; null = none. */
  readonly deadline: DeadlineField | null;
  /** Whether an exchange has times of its own, beside those of its connections. */
  readonly timed: boolean;
}

/** Chooses a part of a split for one request. */
export type SplitChoice = (request: StickyRequest, wallNow: number) => Destination;

export interface FoldedRoute {
  readonly plan: RoutePlan;
  readonly name: string;
  /** Where requests go; null when the route answers by itself or splits. */
  readonly destination: Destination | null;
  /** Picks one of several: where the client is known, else by weight; null when there is one. */
  readonly split: SplitChoice | null;
  readonly fixed: FixedAnswer | null;
  readonly redirect: RedirectStep | null;
  readonly rewrite: RewriteStep | null;
  readonly requestEdits: HeaderEdits | null;
  readonly answerEdits: HeaderEdits | null;
  readonly mirror: Destination | null;
  /** 0 = no limit. */
  readonly maxBodyBytes: number;
}

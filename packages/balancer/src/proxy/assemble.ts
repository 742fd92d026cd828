// From plans to a snapshot: pools, then routes folded over them, then one table for each listener. Building it changes
// nothing that lives; engine.ts swaps it in whole.
import { CidrSet, parseCidr } from "../base/cidr.ts";
import type { Random } from "../base/random.ts";
import type { PoolPlan } from "../pool/plan.ts";
import { buildPools, type PoolContext } from "../pool/assemble.ts";
import type { Pool } from "../pool/pool.ts";
import { foldChallenges } from "./challenges.ts";
import { deadlineField } from "./deadline.ts";
import { compileErrorPages } from "./error-pages.ts";
import type { Destination, FoldedRoute } from "./folded-route.ts";
import { foldTls } from "./listener-tls.ts";
import type { FoldedRoutes, ListenerSnapshot } from "./listener-state.ts";
import type { ListenerPlan, RoutePlan } from "./plan.ts";
import { foldProofs, type ProofPlan } from "./proofs.ts";
import { foldRetry } from "./retry.ts";
import { compileRoutes } from "./route/table.ts";
import { compileSteps } from "./steps/table.ts";
import { stickySplit } from "./stickiness.ts";

/** What a worker is told to run. */
export interface EnginePlan {
  readonly listeners: readonly ListenerPlan[];
  readonly pools: readonly PoolPlan[];
  /** Tokens that an authority will ask for below /.well-known/acme-challenge/, and what to answer (RFC 8555 §8.3). */
  readonly challenges?: readonly (readonly [token: string, body: string])[];
  /** What it will ask for by TLS (RFC 8737). */
  readonly proofs?: readonly ProofPlan[];
}

/** What a worker runs. */
export interface Snapshot {
  readonly pools: ReadonlyMap<string, Pool>;
  readonly listeners: ReadonlyMap<string, ListenerSnapshot>;
}

/** Builds a snapshot. Throws an Error when the plan names a pool that it does not have: config/ has checked that. */
export function assemble(plan: EnginePlan, previous: Snapshot | null, context: PoolContext): Snapshot {
  const pools = buildPools(plan.pools, previous?.pools ?? null, context);
  const listeners = new Map<string, ListenerSnapshot>();
  const challenges = foldChallenges(plan.challenges);
  const proofs = foldProofs(plan.proofs);
  for (const listener of plan.listeners) {
    const folded = foldListener(listener, pools, context.random);
    listeners.set(listener.name, { ...folded, challenges, proofs: folded.tls === null ? null : proofs });
  }
  return { pools, listeners };
}

function foldListener(
  plan: ListenerPlan,
  pools: ReadonlyMap<string, Pool>,
  random: Random,
): Omit<ListenerSnapshot, "challenges" | "proofs"> {
  const trusted = plan.trustedProxies.map((cidr) => parseCidr(cidr)).filter((cidr) => cidr !== null);
  const { headBytes, targetBytes, fieldBytes, fields } = plan.limits;
  return {
    plan,
    limits: { headBytes, targetBytes, fieldBytes, fields },
    ...foldRoutes(plan.routes, pools, random),
    trusted: trusted.length === 0 ? null : new CidrSet(trusted),
    errorPages: compileErrorPages(plan.errorPages),
    tls: foldTls(plan.tls),
    plain: plan.plainRoutes === null ? null : foldRoutes(plan.plainRoutes, pools, random),
  };
}

function foldRoutes(plans: readonly RoutePlan[], pools: ReadonlyMap<string, Pool>, random: Random): FoldedRoutes {
  return { table: compileRoutes(plans), routes: plans.map((route) => foldRoute(route, pools, random)) };
}

function foldRoute(plan: RoutePlan, pools: ReadonlyMap<string, Pool>, random: Random): FoldedRoute {
  const { action } = plan;
  const steps = compileSteps(withoutDeadlines(plan, pools));
  const parts = action.kind === "split" ? action.parts.map((part) => destination(plan, part.pool, pools)) : [];
  const weights = action.kind === "split" ? action.parts.map(({ weight }) => weight) : [];
  const choose = steps.split;
  return {
    plan,
    name: plan.name,
    destination: action.kind === "pool" ? destination(plan, action.pool, pools) : null,
    split: choose === null ? null : stickySplit(parts, weights, () => choose(random)),
    fixed: steps.fixed,
    redirect: steps.redirect,
    rewrite: steps.rewrite,
    requestEdits: steps.requestEdits,
    answerEdits: steps.answerEdits,
    mirror: steps.mirror === "" ? null : destination(plan, steps.mirror, pools),
    maxBodyBytes: steps.bodyLimit,
  };
}

/** What clients say of deadlines is read, and replaced by what we say. */
function withoutDeadlines(plan: RoutePlan, pools: ReadonlyMap<string, Pool>): RoutePlan {
  const { action, requestHeaders } = plan;
  const names =
    action.kind === "pool" ? [action.pool] : action.kind === "split" ? action.parts.map((one) => one.pool) : [];
  const headers = names.map((name) => pools.get(name)?.plan.deadlineHeader ?? "").filter((header) => header !== "");
  if (headers.length === 0) return plan;
  return { ...plan, requestHeaders: { ...requestHeaders, remove: [...requestHeaders.remove, ...headers] } };
}

function destination(route: RoutePlan, name: string, pools: ReadonlyMap<string, Pool>): Destination {
  const pool = pools.get(name);
  if (pool === undefined) throw new Error(`route ${route.name} names the pool ${name}, which does not exist`);
  const timeouts = { ...pool.plan.timeouts, ...route.timeouts };
  const retry = foldRetry(route.retry ?? pool.plan.retry);
  const deadline = deadlineField(pool.plan.deadlineHeader);
  const timed = timeouts.perTry > 0 || timeouts.total > 0 || retry.hedge > 0 || deadline !== null;
  return { pool, timeouts, retry, deadline, timed };
}

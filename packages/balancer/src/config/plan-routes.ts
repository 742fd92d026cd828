// A route as it was written to a route as it is planned.
import type { PoolTimeouts, RetryPlan } from "../pool/plan.ts";
import type { ActionPlan, HeaderEditsPlan, MatchPlan, RewritePlan, RoutePlan } from "../proxy/plan.ts";
import { defaultRetry } from "./defaults.ts";
import { planRetry as planRetryOf } from "./plan-pools.ts";
import type { Config } from "./schema/config.ts";
import type { RouteConfig } from "./schema/routes.ts";

type Pools = Config["pools"];

/** Plans one route of a listener. Never fails: what contradicts itself has been found by `meaning.ts`. */
export function planRoute(config: RouteConfig, place: string, pools: Pools): RoutePlan {
  return {
    name: config.name ?? place,
    match: planMatch(config.match ?? {}),
    action: planAction(config),
    rewrite: planRewrite(config),
    requestHeaders: planEdits(config.headers?.request),
    answerHeaders: planEdits(config.headers?.answer),
    mirror: config.mirror ?? "",
    maxBodyBytes: config.maxBodyBytes ?? 0,
    timeouts: planTimeouts(config.timeouts ?? {}),
    retry: planRetry(config, pools),
    declared: planDeclared(config.declared ?? {}),
    cancel: config.cancel,
  };
}

function planMatch(match: NonNullable<RouteConfig["match"]>): MatchPlan {
  return {
    host: match.host ?? match.sni ?? { kind: "any" },
    path: match.path ?? { kind: "any" },
    methods: match.methods ?? [],
    headers: Object.entries(match.headers ?? {}),
    query: Object.entries(match.query ?? {}),
    cookies: Object.entries(match.cookies ?? {}),
    alpn: match.alpn ?? [],
    sources: match.source ?? [],
  };
}

function planAction(config: RouteConfig): ActionPlan {
  if (config.pool !== undefined) return { kind: "pool", pool: config.pool };
  if (config.split !== undefined) return { kind: "split", parts: config.split };
  if (config.redirect !== undefined) return { kind: "redirect", ...config.redirect };
  const { status, contentType, body } = config.respond ?? { status: 503, contentType: "text/plain", body: "" };
  return { kind: "fixed", status, contentType, body };
}

function planRewrite(config: RouteConfig): RewritePlan | null {
  const { rewrite, match } = config;
  if (rewrite?.regex !== undefined) return { kind: "regex", source: rewrite.regex, to: rewrite.to ?? "" };
  if (rewrite?.prefix === undefined) return null;
  return { kind: "prefix", from: match?.path?.kind === "prefix" ? match.path.path : "", to: rewrite.prefix };
}

function planEdits(edits: NonNullable<RouteConfig["headers"]>["request"]): HeaderEditsPlan {
  return { set: Object.entries(edits?.set ?? {}), add: Object.entries(edits?.add ?? {}), remove: edits?.remove ?? [] };
}

/** Only what was said: absent keys are the pool's. */
function planTimeouts(timeouts: NonNullable<RouteConfig["timeouts"]>): Partial<PoolTimeouts> {
  const out: { -readonly [K in keyof PoolTimeouts]?: number } = {};
  for (const key of ["connect", "firstByte", "idle", "tunnelIdle", "perTry", "total"] as const) {
    const ms = timeouts[key];
    if (ms !== undefined) out[key] = ms;
  }
  return out;
}

function planDeclared(declared: NonNullable<RouteConfig["declared"]>): RoutePlan["declared"] {
  const out: { -readonly [K in keyof RoutePlan["declared"]]: number } = {};
  for (const key of ["client", "app", "downstream"] as const) {
    const ms = declared[key];
    if (ms !== undefined) out[key] = ms;
  }
  return out;
}

/** What a route does not say it takes from its pool; from the defaults if it has several. */
function planRetry(config: RouteConfig, pools: Pools): RetryPlan | null {
  if (config.retry === undefined) return null;
  const own = config.pool === undefined ? {} : (pools[config.pool]?.retry ?? {});
  return planRetryOf(config.retry, planRetryOf(own, defaultRetry));
}

// The ways of a plan: one for each pool that a route takes as it is, and one for each route and pool where the route sets
// a timeout, retries or a declared rung otherwise.
import type { PoolPlan } from "../../pool/plan.ts";
import type { ListenerPlan, RoutePlan } from "../../proxy/plan.ts";
import type { Plan } from "../plan.ts";
import type { Path } from "../problem.ts";
import { settingPlace, type Repeats, type Setting, type SettingName, type Way } from "./settings.ts";

/** What is needed of a plan. */
export interface HierarchyPlan {
  readonly listeners: readonly Pick<ListenerPlan, "name" | "protocol" | "routes">[];
  readonly pools: readonly PoolPlan[];
  readonly shutdown: Plan["shutdown"];
}

/** Longest window that `drain: { window: auto }` can come to, ms. */
export const longestAutoDrain = 300_000;

/** In the order of the plan: each pool, then the routes that differ from it. */
export function waysOf(plan: HierarchyPlan): Way[] {
  return plan.pools
    .map((pool) => withoutAnswers(pool, plan.listeners))
    .flatMap((pool) => {
      const plain: string[] = [];
      const own: Way[] = [];
      for (const listener of plan.listeners) {
        for (const [index, route] of listener.routes.entries()) {
          if (!leadsTo(route, pool.name)) continue;
          const path = ["listeners", listener.name, "routes", index];
          if (differs(route)) own.push(wayOf(pool, { route, path }, plan.shutdown));
          else plain.push(route.name);
        }
      }
      // A pool that no route takes as it is has nobody who would wait by its values.
      if (plain.length === 0 && own.length > 0) return own;
      return [{ ...wayOf(pool, null, plan.shutdown), routes: plain }, ...own];
    });
}

/** A pool to which bytes alone are passed has no answers to wait for: of its times, only those of connecting are rungs. */
function withoutAnswers(pool: PoolPlan, listeners: HierarchyPlan["listeners"]): PoolPlan {
  const users = listeners.filter(({ routes }) => routes.some((route) => leadsTo(route, pool.name)));
  if (users.length === 0 || users.some(({ protocol }) => protocol === "http")) return pool;
  return { ...pool, timeouts: { ...pool.timeouts, firstByte: 0, perTry: 0, total: 0 } };
}

function leadsTo({ action }: RoutePlan, pool: string): boolean {
  if (action.kind === "pool") return action.pool === pool;
  return action.kind === "split" && action.parts.some((part) => part.pool === pool && part.weight > 0);
}

function differs({ timeouts, retry, declared }: RoutePlan): boolean {
  return retry !== null || Object.keys(timeouts).length > 0 || Object.keys(declared).length > 0;
}

interface RouteAt {
  readonly route: RoutePlan;
  readonly path: Path;
}

function wayOf(pool: PoolPlan, at: RouteAt | null, shutdown: Plan["shutdown"]): Way {
  const route = at?.route ?? null;
  const own = (group: "timeouts" | "declared", key: string, value: number | undefined): Setting =>
    at === null ? [] : [settingPlace([...at.path, group, key], value ?? null)];
  const ofPool = (keys: readonly string[], value: number): Setting => [
    settingPlace(["pools", pool.name, ...keys], value),
  ];
  const declared = (key: "client" | "app" | "downstream"): Setting => [
    ...own("declared", key, route?.declared[key]),
    ...ofPool(["declared", key], pool.declared[key]),
  ];
  const timeout = (key: "connect" | "firstByte" | "perTry" | "total"): Setting => [
    ...own("timeouts", key, route?.timeouts[key]),
    ...ofPool(["timeouts", key], pool.timeouts[key]),
  ];
  const top = (key: "lag" | "window" | "stopGrace"): Setting => [settingPlace(["shutdown", key], shutdown[key])];
  const { limits, drain, keepAlive } = pool;
  const settings: Record<SettingName, Setting> = {
    client: declared("client"),
    app: declared("app"),
    downstream: declared("downstream"),
    queueTimeout: ofPool(["limits", "queueTimeout"], limits.inFlight > 0 && limits.queue > 0 ? limits.queueTimeout : 0),
    attempts: attemptsOf(pool, at),
    connect: timeout("connect"),
    firstByte: timeout("firstByte"),
    perTry: timeout("perTry"),
    total: timeout("total"),
    keepAlive: ofPool(["declared", "keepAlive"], pool.declared.keepAlive),
    idle: ofPool(["keepAlive", "idle"], keepAlive.idle),
    drainWindow: ofPool(["drain", "window"], drain.window === "auto" ? longestAutoDrain : drain.window),
    stopGrace: ofPool(["declared", "stopGrace"], pool.declared.stopGrace),
    shutdownLag: top("lag"),
    shutdownWindow: top("window"),
    ownGrace: top("stopGrace"),
  };
  return {
    path: at?.path ?? ["pools", pool.name],
    pool: pool.name,
    routes: route === null ? [] : [route.name],
    settings,
    repeats: repeatsOf(route?.retry ?? pool.retry),
    autoDrain: drain.window === "auto",
  };
}

/** A route's retry settings take the place of its pool's whole; a split route that has none must not be given only this one. */
function attemptsOf(pool: PoolPlan, at: RouteAt | null): Setting {
  const ofPool = settingPlace(["pools", pool.name, "retry", "attempts"], pool.retry.attempts);
  if (at === null) return [ofPool];
  const { retry, action } = at.route;
  if (retry === null && action.kind === "split") return [ofPool];
  return [settingPlace([...at.path, "retry", "attempts"], retry?.attempts ?? null), ofPool];
}

function repeatsOf({ on }: PoolPlan["retry"]): Repeats {
  return {
    timeout: on.includes("timeout"),
    reset: on.some((reason) => reason === "reset" || typeof reason === "number"),
  };
}

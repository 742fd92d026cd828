// Plans as the engine takes them, complete and with the defaults of the configuration, so that a test writes only what
// it is about. Times are short enough for tests that wait for one and long enough for all that do not.
import type { EndpointPlan, PoolPlan } from "../../../packages/balancer/src/pool/plan.ts";
import type { EnginePlan } from "../../../packages/balancer/src/proxy/assemble.ts";
import type {
  ActionPlan,
  HeaderEditsPlan,
  ListenerPlan,
  RoutePlan,
} from "../../../packages/balancer/src/proxy/plan.ts";

/** An endpoint as a test names it: anything that knows its port, a port, or a plan of its own. */
export type EndpointSource = { readonly port: number; readonly address?: unknown } | number | Partial<EndpointPlan>;

/** What a test says of a pool. */
export interface PoolOptions extends Omit<
  Partial<PoolPlan>,
  "endpoints" | "timeouts" | "limits" | "keepAlive" | "retry"
> {
  readonly endpoints: readonly EndpointSource[];
  readonly timeouts?: Partial<PoolPlan["timeouts"]>;
  readonly limits?: Partial<PoolPlan["limits"]>;
  readonly keepAlive?: Partial<PoolPlan["keepAlive"]>;
  readonly retry?: Partial<PoolPlan["retry"]>;
}

/** What a test says of a route; `path` and `host` are short for the matches of the same kind. */
export interface RouteOptions extends Partial<
  Omit<RoutePlan, "action" | "match" | "requestHeaders" | "answerHeaders" | "retry">
> {
  /** "/exact", "/prefix/*", or any when not given. */
  readonly path?: string;
  readonly host?: string;
  readonly match?: Partial<RoutePlan["match"]>;
  /** A pool's name, or a whole action; the pool `app` when not given. */
  readonly to?: string | ActionPlan;
  readonly requestHeaders?: Partial<HeaderEditsPlan>;
  readonly answerHeaders?: Partial<HeaderEditsPlan>;
  /** What is not said of it is as for a pool; without any, the pool's own holds. */
  readonly retry?: Partial<PoolPlan["retry"]>;
}

/** What a test says of the listener. */
export interface ListenerOptions extends Omit<Partial<ListenerPlan>, "timeouts" | "limits" | "routes"> {
  readonly timeouts?: Partial<ListenerPlan["timeouts"]>;
  readonly limits?: Partial<ListenerPlan["limits"]>;
}

/** What a test says of everything: one listener `web`, one route to the pool `app` unless told otherwise. */
export interface PlanOptions {
  readonly listener?: ListenerOptions;
  readonly routes?: readonly RouteOptions[];
  readonly pools: Readonly<Record<string, PoolOptions>>;
  readonly proofs?: EnginePlan["proofs"];
}

const usualRetry: PoolPlan["retry"] = {
  attempts: 2,
  budget: 0.2,
  on: ["connect", "reset"],
  idempotencyKey: false,
  hedge: 0,
};

/** Rows of the shared table, the same for the same pool and endpoint in every plan that one engine gets. */
export class Rows {
  readonly #pools = new Map<string, number>();
  readonly #endpoints = new Map<string, number>();

  pool(name: string): number {
    return rowOf(this.#pools, name);
  }

  endpoint(pool: string, id: string): number {
    return rowOf(this.#endpoints, `${pool}/${id}`);
  }

  /** Every endpoint that ever was, with its row. */
  get endpoints(): ReadonlyMap<string, number> {
    return this.#endpoints;
  }

  get pools(): ReadonlyMap<string, number> {
    return this.#pools;
  }
}

/** The plan, ready for `engine.prepare`. */
export function makePlan(options: PlanOptions, rows: Rows): EnginePlan {
  const routes = options.routes ?? [{}];
  return {
    listeners: [listenerPlan(options.listener ?? {}, routes.map(routePlan))],
    pools: Object.entries(options.pools).map(([name, pool]) => poolPlan(name, pool, rows)),
    ...(options.proofs !== undefined && { proofs: options.proofs }),
  };
}

function rowOf(rows: Map<string, number>, key: string): number {
  const row = rows.get(key) ?? rows.size;
  rows.set(key, row);
  return row;
}

function listenerPlan(options: ListenerOptions, routes: readonly RoutePlan[]): ListenerPlan {
  const { timeouts, limits, ...rest } = options;
  return {
    slot: 0,
    name: "web",
    address: { host: "127.0.0.1", port: 0 },
    protocol: "http",
    trustedProxies: [],
    proxyProtocol: "off",
    udp: { idle: 60_000, maxFlows: 10_000, answers: 0, amplification: 0 },
    underscores: "drop",
    readyPath: "",
    errorPages: [],
    tls: null,
    plainRoutes: null,
    ...rest,
    timeouts: {
      proxyHeader: 5_000,
      handshake: 10_000,
      headers: 10_000,
      body: 30_000,
      idle: 75_000,
      halfClose: 1000,
      ...timeouts,
    },
    limits: {
      headBytes: 16_384,
      targetBytes: 8192,
      fieldBytes: 8192,
      fields: 100,
      requestsPerConnection: 10_000,
      maxConnections: 0,
      connectionsPerClient: 0,
      minBodyRate: 256,
      minReadRate: 256,
      ...limits,
    },
    routes,
  };
}

function routePlan(options: RouteOptions, index: number): RoutePlan {
  const { path, host, match, to = "app", requestHeaders, answerHeaders, retry, ...rest } = options;
  return {
    name: `route ${index}`,
    rewrite: null,
    mirror: "",
    maxBodyBytes: 0,
    timeouts: {},
    declared: {},
    cancel: true,
    ...rest,
    retry: retry === undefined ? null : { ...usualRetry, ...retry },
    match: {
      host: host === undefined ? { kind: "any" } : { kind: "exact", host },
      path: pathMatch(path),
      methods: [],
      headers: [],
      query: [],
      cookies: [],
      alpn: [],
      sources: [],
      ...match,
    },
    action: typeof to === "string" ? { kind: "pool", pool: to } : to,
    requestHeaders: { set: [], add: [], remove: [], ...requestHeaders },
    answerHeaders: { set: [], add: [], remove: [], ...answerHeaders },
  };
}

function pathMatch(path: string | undefined): RoutePlan["match"]["path"] {
  if (path === undefined) return { kind: "any" };
  return path.endsWith("/*") ? { kind: "prefix", path: path.slice(0, -2) } : { kind: "exact", path };
}

function poolPlan(name: string, options: PoolOptions, rows: Rows): PoolPlan {
  const { endpoints, timeouts, limits, keepAlive, retry, ...rest } = options;
  return {
    name,
    balance: "roundRobin",
    hashKey: null,
    hashBalance: 1.25,
    zone: "",
    readiness: null,
    failOpen: true,
    sticky: null,
    outliers: null,
    slowStart: 0,
    drain: { window: 30_000 },
    deadlineHeader: "",
    declared: { client: 0, app: 0, downstream: 0, keepAlive: 0, stopGrace: 0 },
    ...rest,
    slot: rows.pool(name),
    endpoints: endpoints.map((source) => endpointPlan(source, name, rows)),
    timeouts: {
      connect: 3000,
      firstByte: 60_000,
      idle: 60_000,
      tunnelIdle: 3_600_000,
      perTry: 0,
      total: 0,
      ...timeouts,
    },
    retry: { ...usualRetry, ...retry },
    limits: { inFlight: 0, queue: 0, queueTimeout: 1000, ...limits },
    keepAlive: { maxIdle: 64, idle: 4000, maxRequests: 0, ...keepAlive },
    tls: null,
    proxyProtocol: "off",
  };
}

function endpointPlan(source: EndpointSource, pool: string, rows: Rows): EndpointPlan {
  const own = typeof source === "number" || "port" in source ? {} : source;
  const port = typeof source === "number" ? source : "port" in source ? source.port : 0;
  const id = own.id ?? `127.0.0.1:${port}`;
  return {
    address: { kind: "tcp", host: "127.0.0.1", port },
    weight: 1,
    zone: "",
    backup: false,
    stableId: id,
    ...own,
    id,
    slot: rows.endpoint(pool, id),
  };
}

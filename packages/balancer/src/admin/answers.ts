// admin/: the running program's API for operators and their tools. It must not know how anything is done: it asks the
// supervisor. It carries no balanced traffic.
//
// This file: what the admin API answers, apart from the sockets: a function from a request to a status and a body.
import { parseDuration } from "../base/units.ts";
import { metricsContentType } from "../observe/prometheus.ts";
import type { Supervisor } from "../control/supervisor.ts";
import type { AskedState } from "../control/endpoint-states.ts";
import { redactedPlan } from "./redact.ts";

export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  /** Reads the body as text. */
  readonly text: () => Promise<string>;
}

export interface AdminAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly allow?: string;
}

type Handler = (
  supervisor: Supervisor,
  request: AdminRequest,
  parts: readonly string[],
) => AdminAnswer | Promise<AdminAnswer>;

interface Page {
  readonly method: "GET" | "POST";
  /** Parts between slashes; "*" takes any. */
  readonly path: readonly string[];
  readonly about: string;
  readonly handle: Handler;
}

/** All pages. A further one is one line here, a line in docs/admin.md and a test. */
export const pages: readonly Page[] = [
  { method: "GET", path: ["metrics"], about: "metrics in the Prometheus text format", handle: metrics },
  { method: "GET", path: ["status"], about: "what runs now", handle: (supervisor) => json(200, supervisor.status()) },
  { method: "GET", path: ["healthz"], about: "whether the program is alive", handle: () => json(200, { alive: true }) },
  { method: "GET", path: ["readyz"], about: "whether the program wants traffic", handle: ready },
  { method: "GET", path: ["config"], about: "the running plan, without secrets", handle: config },
  { method: "POST", path: ["reload"], about: "read the configuration again", handle: reload },
  { method: "POST", path: ["upgrade"], about: "let a new version take over", handle: upgrade },
  { method: "POST", path: ["stop"], about: "stop in order", handle: stop },
  {
    method: "POST",
    path: ["pools", "*", "endpoints", "*", "state"],
    about: "drain, disable or enable an endpoint",
    handle: setState,
  },
];

/** Answers one request. Never throws for what a request says. */
export async function answer(supervisor: Supervisor, request: AdminRequest): Promise<AdminAnswer> {
  const parts = split(request.path);
  if (parts === null) return failure(400, "the path is not valid");
  const found = pages.filter((page) => matches(page.path, parts));
  if (found.length === 0) {
    const known = pages.map((page) => `${page.method} /${page.path.join("/")}`);
    return failure(404, `there is no ${request.path} here; there are ${known.join(", ")}`);
  }
  const method = request.method === "HEAD" ? "GET" : request.method;
  const page = found.find((each) => each.method === method);
  if (page === undefined) {
    const allow = found.map((each) => each.method).join(", ");
    return { ...failure(405, `${request.path} takes ${allow}, not ${request.method}`), allow };
  }
  return page.handle(supervisor, request, parts);
}

function metrics(supervisor: Supervisor): AdminAnswer {
  return { status: 200, type: metricsContentType, body: supervisor.metrics() };
}

function ready(supervisor: Supervisor): AdminAnswer {
  const { readiness, workers, listeners } = supervisor.status();
  const serving = workers.filter((worker) => worker.serving).length;
  const ok = (readiness === "ready" && serving > 0) || readiness === "replaced";
  return json(ok ? 200 : 503, {
    ready: ok,
    readiness,
    workersServing: serving,
    workers: workers.length,
    listeners: listeners.length,
  });
}

function config(supervisor: Supervisor): AdminAnswer {
  return json(200, redactedPlan(supervisor.plan()));
}

async function reload(supervisor: Supervisor): Promise<AdminAnswer> {
  const result = await supervisor.reload();
  if (result.ok) return json(200, result);
  return json(422, { error: "nothing was changed", problems: result.problems });
}

async function upgrade(supervisor: Supervisor): Promise<AdminAnswer> {
  const result = await supervisor.upgrade("asked for over the admin API");
  return result.ok ? json(200, result) : failure(result.refused ? 409 : 422, result.problem);
}

function stop(supervisor: Supervisor): AdminAnswer {
  void supervisor.stop("asked for over the admin API");
  return json(202, { stopping: true });
}

const states: readonly AskedState[] = ["ready", "draining", "disabled"];

async function setState(supervisor: Supervisor, request: AdminRequest, parts: readonly string[]): Promise<AdminAnswer> {
  const [, pool = "", , endpoint = ""] = parts;
  const asked = readAsked(await request.text());
  if (typeof asked === "string") return failure(400, asked);
  const problem = supervisor.setEndpointState(pool, endpoint, asked.state, undefined, asked.window);
  if (problem !== "") return failure(404, problem);
  // So that whoever is answered can rely on it.
  await supervisor.statesKnown();
  const endpoints = supervisor.status().pools.find((each) => each.name === pool)?.endpoints ?? [];
  const others = endpoints.filter((each) => each.id !== endpoint && ["ready", "unknown"].includes(each.state));
  return json(200, { pool, endpoint: endpoints.find((each) => each.id === endpoint), othersInRotation: others.length });
}

interface Asked {
  readonly state: AskedState;
  /** Ms; null: what the pool says. */
  readonly window: number | null;
}

/** What a body asks for, or what is wrong with it. */
function readAsked(text: string): Asked | string {
  let body: { state?: unknown; window?: unknown } | null;
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    body = null;
  }
  const state = states.find((each) => each === body?.state);
  if (state === undefined) return `the body must be {"state": one of ${states.map((each) => `"${each}"`).join(", ")}}`;
  const window = body?.window;
  if (window === undefined) return { state, window: null };
  if (state !== "draining") return `"window" is for "draining" only`;
  const ms = typeof window === "string" ? parseDuration(window) : null;
  return typeof ms === "number" ? { state, window: ms } : '"window" must be a duration, such as "60s"';
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  return pattern.length === parts.length && pattern.every((part, index) => part === "*" || part === parts[index]);
}

function split(path: string): string[] | null {
  try {
    return path.slice(1).split("/").map(decodeURIComponent);
  } catch {
    return null;
  }
}

function json(status: number, body: unknown): AdminAnswer {
  return { status, type: "application/json; charset=utf-8", body: `${JSON.stringify(body, null, 2)}\n` };
}

export function failure(status: number, error: string): AdminAnswer {
  return json(status, { error });
}

// A pool as it was written to a pool as it is planned.
import type {
  EndpointPlan,
  HashKeyPlan,
  LoginPlan,
  OutlierPlan,
  PoolPlan,
  ProbeName,
  ReadinessPlan,
  RetryPlan,
  ScriptStep,
} from "../pool/plan.ts";
import type { Certificates } from "./certificates.ts";
import { defaultExpect, defaultFastInterval, defaultRetry } from "./defaults.ts";
import type { NamePlan, PoolSource } from "./plan.ts";
import { planPoolTls } from "./plan-tls.ts";
import { planSticky } from "./plan-sticky.ts";
import type { EndpointConfig, PoolConfig } from "./schema/pools.ts";
import type { OutliersConfig } from "./schema/outliers.ts";
import type { ReadinessConfig, ScriptStepConfig } from "./schema/readiness.ts";
import type { RetryConfig } from "./schema/retry.ts";

/** Plans one pool; `within` finds the files that it names. Slots are given out later, so they are -1. */
export function planPool(
  name: string,
  config: PoolConfig,
  within: (written: string) => string,
  certificates: Certificates,
): PoolSource {
  const endpoints: EndpointPlan[] = [];
  const names: NamePlan[] = [];
  for (const endpoint of config.endpoints) {
    const planned = planEndpoint(endpoint);
    if ("slot" in planned) endpoints.push(planned);
    else names.push(planned);
  }
  const pool: PoolPlan = {
    slot: -1,
    name,
    endpoints,
    balance: config.balance,
    hashKey: planHashKey(config),
    hashBalance: config.hashBalance,
    zone: config.zone ?? "",
    readiness: planReadiness(config, within),
    failOpen: config.failOpen,
    sticky: planSticky(config.sticky),
    outliers: planOutliers(config.outliers),
    slowStart: config.slowStart,
    drain: config.drain,
    timeouts: config.timeouts,
    retry: planRetry(config.retry, defaultRetry),
    deadlineHeader: config.deadlineHeader?.toLowerCase() ?? "",
    limits: config.limits,
    keepAlive: config.keepAlive,
    proxyProtocol: config.proxyProtocol,
    tls: config.tls === undefined ? null : planPoolTls(name, config.tls, certificates),
    declared: planDeclared(config.declared ?? {}),
  };
  return { pool, names };
}

function planDeclared(declared: NonNullable<PoolConfig["declared"]>): PoolPlan["declared"] {
  const { client = 0, app = 0, downstream = 0, keepAlive = 0, stopGrace = 0 } = declared;
  return { client, app, downstream, keepAlive, stopGrace };
}

/** What is said, and `otherwise` for the rest. */
export function planRetry(config: RetryConfig, otherwise: RetryPlan): RetryPlan {
  return {
    attempts: config.attempts ?? otherwise.attempts,
    budget: config.budget ?? otherwise.budget,
    on: config.on ?? otherwise.on,
    idempotencyKey: config.idempotencyKey ?? otherwise.idempotencyKey,
    hedge: config.hedge ?? otherwise.hedge,
  };
}

function planOutliers({ detect, ...outliers }: OutliersConfig): OutlierPlan | null {
  return detect === "off" ? null : outliers;
}

function planEndpoint(config: EndpointConfig): EndpointPlan | NamePlan {
  const { address, weight, backup } = config;
  const zone = config.zone ?? "";
  if (address.kind === "address")
    return { slot: -1, id: address.id, stableId: address.id, address: address.address, weight, zone, backup };
  if (address.kind === "srv") return { id: address.id, kind: "srv", name: address.name, port: 0, weight, zone, backup };
  return { id: address.id, kind: "address", name: address.name, port: address.port, weight, zone, backup };
}

function planHashKey(config: PoolConfig): HashKeyPlan | null {
  const key = config.hashKey;
  for (const from of ["header", "cookie", "query"] as const) {
    const name = key?.[from];
    if (name !== undefined) return { from, name };
  }
  if (key?.path === true) return { from: "path" };
  if (key?.source === true) return { from: "source" };
  return config.balance === "ringHash" || config.balance === "maglev" ? { from: "source" } : null;
}

/** What is tried when nothing is said: what there are settings for, else a connection. */
export function probeOf(config: ReadinessConfig): ProbeName | "off" {
  if (config.probe !== undefined) return config.probe === "grpc" ? "tcp" : config.probe;
  if (config.path !== undefined) return "http";
  if (config.script !== undefined) return "script";
  if (config.tls !== undefined) return "tls";
  return config.command === undefined ? "tcp" : "command";
}

/** What a step of a script says; that it says one thing has been checked. */
function planStep({ send, sendHex, expect, expectHex, matches }: ScriptStepConfig): ScriptStep {
  const hex = (text: string): string => Buffer.from(text, "utf8").toString("hex");
  if (send !== undefined) return { kind: "send", hex: hex(send) };
  if (sendHex !== undefined) return { kind: "send", hex: sendHex };
  if (matches !== undefined) return { kind: "matches", source: matches, unless: "" };
  return { kind: "begins", hex: expectHex ?? hex(expect ?? "") };
}

function planLogin({ user = "", password = "", database = "" }: NonNullable<ReadinessConfig["login"]>): LoginPlan {
  return { user, password, database };
}

function planReadiness(
  { readiness: config, proxyProtocol, tls: encryption }: PoolConfig,
  within: (written: string) => string,
): ReadinessPlan | null {
  const probe = probeOf(config);
  if (probe === "off") return null;
  const { interval, timeout, rise, fall, body, tls, command } = config;
  return {
    probe,
    path: config.path ?? "/",
    method: config.method ?? "GET",
    host: config.host ?? "",
    headers: Object.entries(config.headers ?? {}),
    expect: config.expect ?? defaultExpect,
    body: body === undefined ? null : { pattern: body.matches, within: body.within },
    drainOn: config.drainOn ?? [],
    tls:
      // Nothing of its own is said: where traffic is encrypted, the probe is made as traffic is.
      probe === "tls" && !(tls === undefined && encryption !== undefined)
        ? {
            serverName: tls?.serverName ?? "",
            verify: tls?.verify ?? true,
            ca: tls?.ca === undefined ? "" : within(tls.ca),
          }
        : null,
    script: probe === "script" ? (config.script ?? []).map(planStep) : [],
    login: config.login === undefined ? null : planLogin(config.login),
    command: command === undefined ? null : { words: command, env: Object.entries(config.env ?? {}) },
    proxyProtocol,
    interval,
    fastInterval: Math.min(interval, config.fastInterval ?? defaultFastInterval),
    timeout,
    rise,
    fall,
  };
}

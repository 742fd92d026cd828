// Whether a listener is asked for what its layer can give. Layer 7 reads requests and pays for that; layer 4 passes bytes on
// and knows only where they come from and, where it looks, what a TLS client asks for. Each refusal says what the other
// choice costs.
import type { ListenerProtocol } from "../../proxy/plan.ts";
import { probeOf } from "../plan-pools.ts";
import { error, warning, type Finding, type Path } from "../problem.ts";
import type { ListenerConfig } from "../schema/listeners.ts";
import type { PoolConfig } from "../schema/pools.ts";
import type { RouteConfig } from "../schema/routes.ts";
import { waysOf } from "../plan-sticky.ts";
import type { Meant } from "./meant.ts";

type Written = Meant["isWritten"];

export function checkLayers({ config, isWritten }: Meant): Finding[] {
  const findings: Finding[] = [];
  /** Of each pool, the listeners that lead to it, by what they pass on. */
  const bytes = new Map<string, string>();
  const requests = new Map<string, string>();
  const hellos = new Map<string, string>();
  for (const [name, listener] of Object.entries(config.listeners)) {
    const path = ["listeners", name];
    const passes = listener.protocol !== "http";
    if (passes) findings.push(...checkListener(listener, path, isWritten));
    for (const [index, route] of listener.routes.entries()) {
      const at = [...path, "routes", index];
      findings.push(...(passes ? checkRoute(route, listener.protocol, at, isWritten) : checkHttpRoute(route, at)));
      for (const pool of poolsOf(route)) {
        (passes ? bytes : requests).set(pool, name);
        if (listener.protocol === "tls") hellos.set(pool, name);
      }
    }
  }
  for (const [name, pool] of Object.entries(config.pools)) {
    const path = ["pools", name];
    const passing = bytes.get(name);
    const reading = requests.get(name);
    if (passing !== undefined) findings.push(...checkPool(pool, path, passing, reading === undefined, isWritten));
    if (reading !== undefined) findings.push(...checkHttpPool(pool, path, reading));
    const hello = hellos.get(name);
    if (hello !== undefined) findings.push(...checkHelloPool(pool, path, hello));
  }
  return findings;
}

function poolsOf(route: RouteConfig): readonly string[] {
  return route.pool === undefined ? (route.split ?? []).map(({ pool }) => pool) : [route.pool];
}

/** What it takes to have requests read, as the next step of a refusal. */
function readInstead(protocol: ListenerProtocol, key: string): string {
  // Who sends datagrams does not speak HTTP/1.1 instead.
  if (protocol === "udp") return `remove ${key}`;
  const costs =
    protocol === "tls"
      ? "TLS then ends here, so this program needs the certificates and sees what is sent"
      : "the application must then speak HTTP/1.1, and each request costs more than its bytes";
  return `remove ${key}, or write protocol: http (${costs})`;
}

/** What a request has and a connection has not. */
const requestMatches = ["host", "path", "methods", "headers", "query", "cookies"] as const;

/** What is done to a request, and why bytes cannot have it. */
const requestSettings = {
  redirect: "a redirect is an answer of HTTP",
  respond: "an answer needs a protocol to be given in",
  rewrite: "there is no path to change",
  headers: "there are no header fields to edit; the client's address can be passed on by the PROXY protocol",
  mirror: "two endpoints would answer the same connection, and their answers differ",
  maxBodyBytes: "nobody can tell where a body begins",
  declared: "the timeouts that it is for are those of requests",
} as const;

function checkRoute(route: RouteConfig, protocol: ListenerProtocol, path: Path, isWritten: Written): Finding[] {
  const findings: Finding[] = [];
  const { match } = route;
  for (const key of requestMatches) {
    if (match?.[key] === undefined) continue;
    const instead = protocol === "tls" && key === "host" ? "write sni: it is what can be seen of the host, or " : "";
    findings.push(
      error(
        [...path, "match", key],
        `protocol: ${protocol} passes bytes on and reads no requests, so "${key}" can never match`,
        `${instead}${readInstead(protocol, key)}`,
      ),
    );
  }
  if (protocol !== "tls") {
    for (const key of ["sni", "alpn"] as const) {
      if (match?.[key] === undefined) continue;
      const hint = `write protocol: tls (the first bytes are then read, and what does not begin with TLS is refused), or remove ${key}`;
      findings.push(error([...path, "match", key], `protocol: ${protocol} reads nothing of what is sent`, hint));
    }
  }
  for (const [key, why] of Object.entries(requestSettings)) {
    if (route[key as keyof typeof requestSettings] === undefined) continue;
    findings.push(error([...path, key], `protocol: ${protocol} passes bytes on: ${why}`, readInstead(protocol, key)));
  }
  for (const key of ["firstByte", "idle", "perTry", "total"] as const) {
    if (route.timeouts?.[key] === undefined) continue;
    const hint = "connections have connect and tunnelIdle; remove it";
    findings.push(error([...path, "timeouts", key], `"${key}" is a time of requests`, hint));
  }
  if (isWritten([...path, "cancel"])) {
    const message = "a connection whose client goes away always ends, so this has no effect";
    findings.push(warning([...path, "cancel"], message, "remove cancel"));
  }
  return [...findings, ...checkRetry(route.retry, [...path, "retry"])];
}

/** SNI is read by listeners that pass TLS on; elsewhere the Host says the same, and more truthfully. */
function checkHttpRoute({ match }: RouteConfig, path: Path): Finding[] {
  return (["sni", "alpn"] as const)
    .filter((key) => match?.[key] !== undefined)
    .map((key) => {
      const hint = key === "sni" ? "match host" : "requests are routed by what they ask for; remove alpn";
      const why = "protocol: http routes requests, and one connection may carry requests for several hosts";
      return error([...path, "match", key], why, `${hint}, or write protocol: tls to pass TLS on unread`);
    });
}

/** Settings of a listener that are about requests. */
const listenerSettings = [
  ["timeouts", "body"],
  ["timeouts", "idle"],
  ["timeouts", "halfClose"],
  ["limits", "headBytes"],
  ["limits", "targetBytes"],
  ["limits", "fieldBytes"],
  ["limits", "fields"],
  ["limits", "requestsPerConnection"],
  ["limits", "minBodyRate"],
  ["limits", "minReadRate"],
  ["redirect"],
  ["readyPath"],
  ["underscores"],
  ["errorPages"],
] as const;

/** Settings of a listener that are about connections. */
const connectionSettings = [
  ["timeouts", "proxyHeader"],
  ["limits", "maxConnections"],
  ["limits", "connectionsPerClient"],
] as const;

function checkListener({ protocol, tls }: ListenerConfig, path: Path, isWritten: Written): Finding[] {
  const findings: Finding[] = [];
  for (const keys of protocol === "udp" ? connectionSettings : []) {
    const at = [...path, ...keys];
    if (!isWritten(at)) continue;
    const hint = `remove ${keys[1]}; udp.maxFlows bounds what there is at a time`;
    findings.push(error(at, `"${keys[1]}" is about connections, and protocol: udp has none`, hint));
  }
  for (const keys of listenerSettings) {
    const at = [...path, ...keys];
    if (!isWritten(at)) continue;
    const key = keys.at(-1) as string;
    const hint = `remove ${key}${key === "idle" ? "; the pool's timeouts.tunnelIdle is the longest silence" : ""}`;
    findings.push(error(at, `"${key}" is about requests, and protocol: ${protocol} reads none`, hint));
  }
  if (tls !== undefined) {
    const hint =
      protocol === "tls"
        ? "remove tls: what is passed on unread needs no certificate here; or write protocol: http"
        : readInstead(protocol, "tls");
    findings.push(error([...path, "tls"], `protocol: ${protocol} passes bytes on, and TLS ends at the endpoint`, hint));
  }
  return findings;
}

function checkPool(pool: PoolConfig, path: Path, listener: string, alone: boolean, isWritten: Written): Finding[] {
  const findings: Finding[] = [];
  const [way] = pool.sticky === undefined ? [] : waysOf(pool.sticky);
  if (way !== undefined && way !== "source") {
    findings.push(
      error(
        [...path, "sticky", way],
        `listener ${listener} passes bytes on, so nobody sees or sets what sticky: { ${way} } goes by`,
        "write sticky: { source: true } (an office behind one address is then one client), or protocol: http on the listener",
      ),
    );
  }
  for (const key of ["header", "cookie", "query", "path"] as const) {
    if (pool.hashKey?.[key] === undefined) continue;
    const message = `listener ${listener} passes bytes on, and a connection has no ${key}`;
    findings.push(error([...path, "hashKey", key], message, "write hashKey: source"));
  }
  if (!alone) return findings;
  findings.push(...checkRetry(pool.retry, [...path, "retry"]));
  for (const keys of [
    ["timeouts", "firstByte"],
    ["timeouts", "idle"],
    ["timeouts", "perTry"],
    ["timeouts", "total"],
    ["deadlineHeader"],
    ["keepAlive"],
  ]) {
    const at = [...path, ...keys];
    if (!isWritten(at)) continue;
    const message = `only listener ${listener} leads here, which passes bytes on: "${keys.at(-1)}" is about requests and has no effect`;
    findings.push(
      warning(at, message, keys.at(-1) === "idle" ? "timeouts.tunnelIdle is the longest silence" : "remove it"),
    );
  }
  if (pool.drain.window === "auto") {
    const message = "auto follows the longest request, and here are none: it is 5s, after which connections are cut";
    findings.push(
      warning([...path, "drain", "window"], message, "write how long a connection may need to finish: 30s, 5m"),
    );
  }
  if (probeOf(pool.readiness) === "http") findings.push(costsOfBytes(path, listener));
  return findings;
}

/** An application that is asked over HTTP whether it is ready most likely speaks HTTP to everybody. */
function costsOfBytes(path: Path, listener: string): Finding {
  return {
    ...warning(
      [...path, "readiness"],
      `this pool speaks HTTP, and listener ${listener} passes it on as bytes`,
      "write protocol: http on the listener; keep it as it is if TLS must not end here, or for the least cost per byte",
    ),
    why:
      "a client that keeps its connection stays at one endpoint for all its requests, a failed request is never tried " +
      "elsewhere, the application does not see the client's address without the PROXY protocol, a drain waits for connections to end and then ends them, and " +
      "the log has a line for each connection, not for each request",
  };
}

/** Probes that say that something else than HTTP is spoken there. */
const otherProtocols: readonly string[] = ["postgres", "redis", "mysql", "smtp"];

function checkHttpPool(pool: PoolConfig, path: Path, listener: string): Finding[] {
  const probe = probeOf(pool.readiness);
  if (!otherProtocols.includes(probe)) return [];
  const hint = `write protocol: tcp on listeners.${listener}: bytes are passed on as they are, at the cost of all that needs requests (routes by path, retries, header edits)`;
  const message = `listener ${listener} speaks HTTP, and readiness: ${probe} says that these endpoints do not`;
  return [error([...path, "readiness"], message, hint)];
}

/** Protocols in which TLS is asked for in plain text first, and how. */
const plainFirst: Readonly<Record<string, string>> = {
  postgres: "a PostgreSQL client asks for TLS by a message of its own",
  mysql: "a MySQL client waits for the server's greeting",
  smtp: "an SMTP client waits for the server's greeting, and asks by STARTTLS",
};
const exceptions: Readonly<Record<string, string>> = {
  postgres: "clients of PostgreSQL 17 and later with sslnegotiation=direct",
  smtp: "clients that begin with TLS (port 465)",
};

function checkHelloPool(pool: PoolConfig, path: Path, listener: string): Finding[] {
  const probe = probeOf(pool.readiness);
  const why = plainFirst[probe];
  if (why === undefined) return [];
  const message = `listener ${listener} waits for a TLS handshake, and these endpoints' protocol does not begin with one (readiness: ${probe})`;
  const except = exceptions[probe] === undefined ? "" : `; keep it for ${exceptions[probe]}`;
  const hint = `write protocol: tcp on listeners.${listener}, with a listener for each pool${except}`;
  return [{ ...warning([...path, "readiness"], message, hint), why: `${why}, and is refused here before that` }];
}

/** A connection is tried again only while nothing was sent on it. A pool may be shared with a listener that reads requests. */
function checkRetry(retry: RouteConfig["retry"], path: Path): Finding[] {
  if (retry === undefined) return [];
  const findings: Finding[] = [];
  const statuses = (retry.on ?? []).filter((one) => typeof one === "number");
  if (statuses.length > 0) {
    const message = `who passes bytes on sees no statuses (${statuses.join(", ")}), so none is tried again`;
    findings.push(error([...path, "on"], message, "write on: [connect, reset]; both mean before anything was sent"));
  }
  for (const key of ["hedge", "idempotencyKey"] as const) {
    if (retry[key] === undefined || retry[key] === 0 || retry[key] === false) continue;
    findings.push(error([...path, key], `"${key}" is about requests, and connections carry bytes`, `remove ${key}`));
  }
  return findings;
}

// Whether stickiness fits together, and what it means that there is any.
import type { ListenerPlan } from "../../proxy/plan.ts";
import { needsSecure, waysOf } from "../plan-sticky.ts";
import { error, warning, type Finding, type Path } from "../problem.ts";
import type { PoolConfig } from "../schema/pools.ts";
import type { StickyConfig } from "../schema/sticky.ts";
import type { Meant } from "./meant.ts";

/** Keys that only the balancer's own cookie has a use for. */
const cookieKeys = [
  "secret",
  "maxAge",
  "sameSite",
  "secure",
  "httpOnly",
  "partitioned",
  "domain",
  "path",
  "cacheable",
] as const;

export function checkSticky(pool: PoolConfig, poolPath: Path): Finding[] {
  const { sticky } = pool;
  if (sticky === undefined) return [];
  const path = [...poolPath, "sticky"];
  const ways = waysOf(sticky);
  const [way] = ways;
  if (way === undefined || ways.length > 1) {
    const wrong =
      way === undefined ? "nothing says what clients are known by" : `${ways.join(" and ")} exclude each other`;
    return [error(path, wrong, "write one of cookie: name, appCookie: name, header: name, source: true")];
  }
  const findings = way === "cookie" ? checkCookie(sticky, path) : checkForeign(sticky, way, path);
  if (findings.length === 0 && pool.declared?.state === undefined) findings.push(crutch(pool, way, path));
  return findings;
}

function checkCookie(sticky: StickyConfig, path: Path): Finding[] {
  const findings: Finding[] = [];
  if (sticky.secret === undefined || sticky.secret.length === 0) {
    const hint =
      'add secret: "${STICKY_SECRET}", the same on every balancer and after restarts; make one with: openssl rand -base64 32';
    findings.push(error(path, "the cookie is signed, and there is no secret", hint));
  }
  const needed = needsSecure(sticky);
  if (sticky.secure === "never" && needed !== "") {
    findings.push(
      error([...path, "secure"], `browsers refuse a cookie with ${needed} that is not Secure`, "remove secure: never"),
    );
  }
  if (/^__Host-/i.test(sticky.cookie ?? "")) {
    for (const key of ["domain", "path"] as const) {
      if (sticky[key] === undefined || (key === "path" && sticky.path === "/")) continue;
      const message = `browsers refuse a cookie whose name begins with __Host- and that has a ${key} of its own`;
      findings.push(error([...path, key], message, `remove ${key}, or give the cookie another name`));
    }
  }
  return findings;
}

function checkForeign(sticky: StickyConfig, way: "appCookie" | "header" | "source", path: Path): Finding[] {
  const findings: Finding[] = [];
  for (const key of cookieKeys) {
    if (sticky[key] === undefined) continue;
    const message = `"${key}" is about the balancer's own cookie, and has no meaning with ${way}`;
    findings.push(error([...path, key], message, `remove ${key}, or write cookie: plimsoll in place of ${way}`));
  }
  if (way !== "appCookie" && sticky.whileDraining === true) {
    const message = "a hash cannot tell old clients from new ones, so a draining endpoint keeps none";
    findings.push(error([...path, "whileDraining"], message, "remove whileDraining, or write cookie: plimsoll"));
  }
  return findings;
}

/** Not an error, and still what most teams with this setting do not know. */
function crutch({ endpoints }: PoolConfig, way: string, path: Path): Finding {
  const names = endpoints.some(({ address }) => address.kind !== "address");
  const share = names || endpoints.length < 2 ? "all its clients" : `about one client in ${endpoints.length}`;
  const comes = way === "cookie" || way === "appCookie" ? "" : ". Clients also move whenever endpoints come or go";
  return warning(
    path,
    "stickiness is a crutch: when an endpoint dies, is replaced by a deploy or reaches the end of its drain window, what it " +
      `kept in memory is lost for ${share}: sessions, carts, half-done uploads, Socket.IO polling${comes}`,
    "keep state in a store that all instances share, and say so: declared: { state: redis }",
  );
}

/** Pools that would overwrite each other's cookie: every change between their routes would move the client. */
export function checkStickyNames({ config, plan }: Meant): Finding[] {
  const findings: Finding[] = [];
  const pools = Object.entries(config.pools);
  for (const [index, [name, pool]] of pools.entries()) {
    for (const [other, { sticky }] of pools.slice(0, index)) {
      const own = pool.sticky;
      if (own?.cookie === undefined || own.cookie !== sticky?.cookie) continue;
      if ((own.path ?? "/") !== (sticky.path ?? "/") || own.domain !== sticky.domain) continue;
      if (!plan.listeners.some((listener) => meet(listener, name, other))) continue;
      findings.push({
        ...warning(
          ["pools", name, "sticky", "cookie"],
          `pool ${other} has a cookie of this name as well: clients of both would be moved with each change between them`,
          "give each its own name or path",
        ),
      });
    }
  }
  return findings;
}

/** Whether one host may see routes of which each leads to one of the pools and not to the other. */
function meet({ routes }: ListenerPlan, a: string, b: string): boolean {
  const hostsTo = (pool: string, not: string) =>
    routes.flatMap(({ action, match }) => {
      const names =
        action.kind === "pool" ? [action.pool] : action.kind === "split" ? action.parts.map((part) => part.pool) : [];
      return names.includes(pool) && !names.includes(not) ? [match.host] : [];
    });
  const others = hostsTo(b, a);
  return hostsTo(a, b).some((one) =>
    others.some((other) => one.kind !== "exact" || other.kind !== "exact" || one.host === other.host),
  );
}

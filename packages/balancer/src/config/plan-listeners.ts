// Listeners, and the whole: from what was written to what is planned.
import type { ListenerPlan, RoutePlan } from "../proxy/plan.ts";
import { planAcme } from "./acme.ts";
import type { Certificates } from "./certificates.ts";
import type { ErrorPages } from "./error-pages.ts";
import type { Plan } from "./plan.ts";
import { planPool } from "./plan-pools.ts";
import { planRoute } from "./plan-routes.ts";
import { planListenerTls, withHsts } from "./plan-tls.ts";
import type { Path } from "./problem.ts";
import type { Config } from "./schema/config.ts";
import type { ListenerConfig } from "./schema/listeners.ts";
import { routeSchema } from "./schema/routes.ts";

/**
 * Plans the whole configuration. `within` finds the files that are named in it; `original` says where something stood
 * in what was written.
 */
export function planConfig(
  config: Config,
  within: (written: string) => string,
  pages: ErrorPages,
  certificates: Certificates,
  original = (path: Path): Path => path,
): Plan {
  const { access, format } = config.log;
  return {
    listeners: Object.entries(config.listeners).map(([name, listener]) =>
      planListener(name, listener, config, pages, certificates, original),
    ),
    pools: Object.entries(config.pools).map(([name, pool]) => planPool(name, pool, within, certificates)),
    acme: planAcme(config, within),
    admin: config.admin.address,
    log: { access: access === "none" || access === "stdout" ? access : within(access), format },
    workers: config.workers === "auto" ? 0 : config.workers,
    memory: config.memory === "auto" ? 0 : config.memory,
    shutdown: { ...config.shutdown, stopGrace: config.shutdown.stopGrace ?? 0 },
  };
}

function planListener(
  name: string,
  listener: ListenerConfig,
  config: Config,
  pages: ErrorPages,
  certificates: Certificates,
  original: (path: Path) => Path,
): ListenerPlan {
  const { address, protocol, trustedProxies, proxyProtocol, timeouts, limits, udp, underscores } = listener;
  const routes = listener.routes.map((route, index) => {
    const place = original(["listeners", name, "routes", index]).at(-1);
    return planRoute(route, `${name}.routes[${place}]`, config.pools);
  });
  return {
    slot: -1,
    name,
    address,
    protocol,
    trustedProxies,
    proxyProtocol,
    timeouts,
    limits: planLimits(limits),
    udp,
    underscores,
    readyPath: listener.readyPath ?? "",
    errorPages: pages.get(name) ?? [],
    tls: listener.tls === undefined ? null : planListenerTls(name, listener.tls, certificates),
    routes: listener.redirect === undefined ? withHsts(routes, listener.tls?.hsts) : [redirectRoute(name, listener)],
    plainRoutes: plainRoutes(name, listener, routes),
  };
}

/** What leads clients without TLS where TLS comes in. RFC 6797 §7.2: HSTS is not said to them. */
function plainRoutes(
  name: string,
  { plainHttp, protocol, tls }: ListenerConfig,
  routes: readonly RoutePlan[],
): readonly RoutePlan[] | null {
  if (plainHttp === "refuse" || (tls === undefined && protocol !== "tls")) return null;
  if (plainHttp === "serve") return routes;
  // The port that the client wrote is one where TLS comes in, too; without one it came from port 80, and goes to 443.
  const redirect = { to: "https://{authority}{path}", status: 308 } as const;
  return [planRoute(routeSchema.parse({ redirect }), `${name}.plainHttp`, {})];
}

/** The only route of a listener that sends everybody to HTTPS. */
function redirectRoute(name: string, { redirect }: ListenerConfig): RoutePlan {
  const { port, status } = redirect ?? { port: 443, status: 308 };
  const to = `https://{host}${port === 443 ? "" : `:${port}`}{path}`;
  return planRoute(routeSchema.parse({ redirect: { to, status } }), `${name}.redirect`, {});
}

/** Parts of a head that nothing is said of are 8 KiB at most, and never more than the whole. */
function planLimits(limits: ListenerConfig["limits"]): ListenerPlan["limits"] {
  const part = Math.min(8192, limits.headBytes);
  return { ...limits, targetBytes: limits.targetBytes ?? part, fieldBytes: limits.fieldBytes ?? part };
}

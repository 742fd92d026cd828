// Listeners, and the whole: from what was written to what is planned.
import { dirname, resolve } from "node:path";
import type { ListenerPlan } from "../proxy/plan.ts";
import type { ErrorPages } from "./error-pages.ts";
import type { Plan } from "./plan.ts";
import { planPool } from "./plan-pools.ts";
import { planRoute } from "./plan-routes.ts";
import type { Config } from "./schema/config.ts";
import type { ListenerConfig } from "./schema/listeners.ts";

/** Plans the whole configuration. `file` is what relative paths are relative to. */
export function planConfig(config: Config, file: string, pages: ErrorPages): Plan {
  const { access, format } = config.log;
  return {
    listeners: Object.entries(config.listeners).map(([name, listener]) => planListener(name, listener, config, pages)),
    pools: Object.entries(config.pools).map(([name, pool]) => planPool(name, pool)),
    admin: config.admin.address,
    log: { access: access === "none" || access === "stdout" ? access : resolve(dirname(file), access), format },
    workers: config.workers === "auto" ? 0 : config.workers,
    shutdown: config.shutdown,
  };
}

function planListener(name: string, listener: ListenerConfig, config: Config, pages: ErrorPages): ListenerPlan {
  const { address, trustedProxies, timeouts, limits, underscores } = listener;
  return {
    slot: -1,
    name,
    address,
    trustedProxies,
    timeouts,
    limits,
    underscores,
    errorPages: pages.get(name) ?? [],
    routes: listener.routes.map((route, index) => planRoute(route, `${name}.routes[${index}]`, config.pools)),
  };
}

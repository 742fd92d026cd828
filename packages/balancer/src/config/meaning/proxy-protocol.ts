// Whether who may speak for clients is known, and what speaking for them costs.
import { error, warning, type Finding } from "../problem.ts";
import type { Meant } from "./meant.ts";

export function checkProxyProtocol({ config, plan }: Meant): Finding[] {
  const findings: Finding[] = [];
  for (const [name, { protocol, proxyProtocol, trustedProxies }] of Object.entries(config.listeners)) {
    if (proxyProtocol === "off") continue;
    const path = ["listeners", name, "proxyProtocol"];
    if (protocol === "udp") {
      const message =
        "senders of datagrams can be forged, so whoever wants could name any client: no header is read from them";
      findings.push(error(path, message, "write proxyProtocol: off"));
      continue;
    }
    if (trustedProxies.length > 0) continue;
    const hint = "write in trustedProxies what stands in front, or proxyProtocol: off";
    findings.push(
      proxyProtocol === "require"
        ? error(path, "trustedProxies is empty, so nobody could connect", hint)
        : warning(path, "trustedProxies is empty, so no header is believed and this has no effect", hint),
    );
  }
  for (const [name, pool] of Object.entries(config.pools)) {
    if (pool.proxyProtocol === "off") continue;
    const path = ["pools", name, "proxyProtocol"];
    const users = plan.listeners.filter((listener) => listener.routes.some((route) => leadsTo(route.action, name)));
    if (pool.proxyProtocol === "v1" && users.some(({ protocol }) => protocol === "udp")) {
      findings.push(error(path, "version 1 is a line for streams, and says nothing of datagrams", "write v2, or off"));
    }
    if (!users.some(({ protocol }) => protocol === "http")) continue;
    const message = "each client gets connections of its own to the endpoints, and none is shared with another client";
    const hint = "write off for applications that read X-Forwarded-For: that is sent with every request";
    findings.push(warning(path, message, hint));
  }
  return findings;
}

function leadsTo(action: Meant["plan"]["listeners"][number]["routes"][number]["action"], pool: string): boolean {
  if (action.kind === "pool") return action.pool === pool;
  return action.kind === "split" && action.parts.some((part) => part.pool === pool);
}

// An explanation as text: what was chosen, and below it what was passed over and why.
import type { PoolExplanation } from "./endpoints.ts";
import type { Explanation, PassedOver } from "./explain.ts";

/** Lines of passed-over things that are shown each; the rest is counted. */
const mostShown = 20;

export function renderExplanation(explanation: Explanation): string {
  const { request } = explanation;
  const asksHttp = !/^(?:tcp|tls|udp):/i.test(request.url);
  const lines = [`${asksHttp ? request.method : "connection to"} ${request.url} from ${request.source}`, ""];
  const note = explanation.listenerNote === "" ? "" : `   (${explanation.listenerNote})`;
  lines.push(entry("listener", `${explanation.listener === "" ? "none" : explanation.listener}${note}`));
  lines.push(...passedOver(explanation.listenersPassed));
  if (explanation.listener !== "") {
    lines.push(
      entry("route", explanation.route === "" ? `none: ${refused[explanation.protocol].route}` : explanation.route),
    );
    lines.push(...passedOver(explanation.routesPassed));
  }
  if (explanation.action !== "") lines.push(entry("action", explanation.action));
  for (const pool of explanation.pools) lines.push(...renderPool(pool, refused[explanation.protocol].pool));
  if (explanation.pools.length > 0) {
    const source =
      explanation.live === ""
        ? "No running balancer was asked: endpoints are shown as configured, all taken for ready."
        : `Endpoint states are those of the balancer at ${explanation.live}.`;
    lines.push("", source);
  }
  return `${lines.join("\n")}\n`;
}

/** What becomes of whom nobody takes. */
const bytesRefused = { route: "the connection is reset (route-not-found)", pool: "reset (pool-unusable)" };
const refused = {
  "": { route: "", pool: "" },
  http: { route: "answered 404 (route-not-found)", pool: "answered 503 (pool-unusable)" },
  tcp: bytesRefused,
  tls: {
    route: "refused with the TLS alert unrecognized_name (route-not-found)",
    pool: "refused with a TLS alert (pool-unusable)",
  },
  udp: { route: "dropped (route-not-found)", pool: "dropped (pool-unusable)" },
} as const;

function renderPool(pool: PoolExplanation, unusable: string): string[] {
  const lines = [entry("pool", `${pool.pool}, ${pool.balance}: ${pool.how}`)];
  if (pool.sticky !== null) lines.push(entry("sticky", `${pool.sticky.how}: ${pool.sticky.found}`));
  if (pool.chosen !== "") lines.push(entry("endpoint", pool.chosen));
  else if (pool.rotation.length > 0) lines.push(entry("endpoint", `one of ${pool.rotation.join(", ")}`));
  else if (pool.names.length === 0) lines.push(entry("endpoint", `none is usable: ${unusable}`));
  if (pool.failOpen) lines.push(indent("nobody is ready, so unready ones are asked (fail open)"));
  lines.push(...passedOver(pool.passed.map(({ endpoint, why }) => ({ name: endpoint, why }))));
  if (pool.names.length > 0) lines.push(indent(`and what these names resolve to: ${pool.names.join(", ")}`));
  return lines;
}

function passedOver(list: readonly PassedOver[]): string[] {
  const lines = list.slice(0, mostShown).map(({ name, why }) => indent(`not ${name}: ${why}`));
  if (list.length > mostShown) lines.push(indent(`and ${list.length - mostShown} more (--json has them all)`));
  return lines;
}

function entry(name: string, text: string): string {
  return `${name.padEnd(10)}${text}`;
}

function indent(text: string): string {
  return `${" ".repeat(12)}${text}`;
}

// From a request to its endpoint: listener, route, pool, endpoint, each with those that were passed over.
import type { Plan } from "@plimsoll/balancer/src/config/plan.ts";
import type { ActionPlan, ListenerPlan } from "@plimsoll/balancer/src/proxy/plan.ts";
import { explainRoute } from "@plimsoll/balancer/src/proxy/route/explain.ts";
import { showHostPort } from "../values.ts";
import { explainPool, type LiveEndpoint, type PoolExplanation } from "./endpoints.ts";
import { seeRequest, type AskedRequest, type SeenRequest } from "./request.ts";

/** Someone that was not chosen. */
export interface PassedOver {
  readonly name: string;
  readonly why: string;
}

export interface Explanation {
  readonly request: AskedRequest;
  /** "" when none accepts this request. */
  readonly listener: string;
  readonly listenerNote: string;
  /** What the listener speaks; "" without one. */
  readonly protocol: ListenerPlan["protocol"] | "";
  readonly listenersPassed: readonly PassedOver[];
  /** "" when no route matches. */
  readonly route: string;
  readonly routesPassed: readonly PassedOver[];
  /** What the route does, in words; "" without a route. */
  readonly action: string;
  readonly pools: readonly PoolExplanation[];
  /** Where endpoint states come from: an admin address, or "" for the configuration alone. */
  readonly live: string;
}

/** What a running balancer says, by pool. */
export interface LiveState {
  readonly address: string;
  readonly pools: ReadonlyMap<string, readonly LiveEndpoint[]>;
}

/** `listenerName` "" lets the URL's port decide. */
export function explain(
  plan: Plan,
  asked: AskedRequest,
  listenerName: string,
  live: LiveState | null,
  now = Date.now(),
): Explanation {
  const seen = seeRequest(asked);
  const { listener, note } = chooseListener(plan.listeners, seen, listenerName);
  const listenersPassed = plan.listeners
    .filter((other) => other !== listener)
    .map((other) => ({
      name: other.name,
      why:
        listenerName === ""
          ? `listens on ${showHostPort(other.address)}, and the URL says port ${seen.port}`
          : "another was named",
    }));
  const nowhere = { request: asked, listenersPassed, live: live?.address ?? "", route: "", action: "", pools: [] };
  if (listener === null) return { ...nowhere, listener: "", protocol: "", listenerNote: note, routesPassed: [] };
  const mismatch = whyUnread(listener, seen);
  const said = [note, mismatch].filter((text) => text !== "").join("; ");
  const routes = isPlainHttp(listener, seen) ? (listener.plainRoutes ?? listener.routes) : listener.routes;
  const { chosen, passed } = explainRoute(routes, seen.view);
  const nameOf = (index: number): string => routes[index]?.name ?? `route ${index}`;
  const routesPassed = passed.map(({ index, why }) => ({ name: nameOf(index), why }));
  const { protocol } = listener;
  const found = { ...nowhere, listener: listener.name, protocol, listenerNote: said, routesPassed };
  const route = routes[chosen];
  if (route === undefined) return found;
  const pools = poolsOf(route.action).flatMap((name) => {
    const source = plan.pools.find(({ pool }) => pool.name === name);
    return source === undefined ? [] : [explainPool(source, seen.view, live?.pools.get(name) ?? null, now)];
  });
  return { ...found, route: nameOf(chosen), action: describeAction(route.action, route.mirror), pools };
}

function chooseListener(
  listeners: readonly ListenerPlan[],
  { port, protocol }: SeenRequest,
  name: string,
): { readonly listener: ListenerPlan | null; readonly note: string } {
  if (name !== "") {
    const listener = listeners.find((each) => each.name === name) ?? null;
    return { listener, note: listener === null ? `there is no listener called ${name}` : "" };
  }
  const there = listeners.filter((each) => each.address.port === port);
  // One for connections and one for datagrams may share a port.
  const exact = there.find((each) => (each.protocol === "udp") === (protocol === "udp")) ?? there[0];
  if (exact !== undefined) return { listener: exact, note: "" };
  const [only] = listeners;
  if (only !== undefined && listeners.length === 1) {
    return { listener: only, note: `none listens on port ${port}; this is the only one` };
  }
  return { listener: null, note: `none listens on port ${port}; name one with --listener` };
}

/** Whether the question is HTTP without TLS where TLS comes in. */
function isPlainHttp({ tls, protocol }: ListenerPlan, seen: SeenRequest): boolean {
  return (tls !== null || protocol === "tls") && seen.protocol === "http" && !seen.secure;
}

/** What of the question this listener does not look at. */
function whyUnread(listener: ListenerPlan, seen: SeenRequest): string {
  const { protocol } = listener;
  if (isPlainHttp(listener, seen)) {
    if (listener.plainRoutes !== null) return "it tells HTTP without TLS from TLS by the first byte";
    if (protocol === "http") return "it speaks TLS, and answers HTTP without it with 400; see plainHttp";
  }
  if (protocol === "http") {
    return seen.protocol === "http"
      ? ""
      : `it speaks HTTP, and ${seen.protocol}:// asks for a connection without a request`;
  }
  if (protocol === "tls") {
    return seen.secure
      ? "TLS is passed on: routed by SNI, ALPN and address"
      : "it passes TLS on, and refuses what does not begin so";
  }
  return `protocol: ${protocol} passes bytes on: only the client's address counts`;
}

function poolsOf(action: ActionPlan): readonly string[] {
  if (action.kind === "pool") return [action.pool];
  return action.kind === "split" ? action.parts.map((part) => part.pool) : [];
}

function describeAction(action: ActionPlan, mirror: string): string {
  const copy = mirror === "" ? "" : `, with a copy to pool ${mirror}`;
  switch (action.kind) {
    case "pool":
      return `to pool ${action.pool}${copy}`;
    case "split": {
      const total = action.parts.reduce((sum, part) => sum + part.weight, 0);
      const parts = action.parts.map(
        (part) => `${Math.round((part.weight / total) * 1000) / 10} % to pool ${part.pool}`,
      );
      return `split: ${parts.join(", ")}${copy}`;
    }
    case "redirect":
      return `redirect ${action.status} to ${action.to}`;
    case "fixed":
      return `answer ${action.status} itself`;
  }
}

// Steers the balancer's traffic to the instances that the process manager names.
import type { AppEndpoint, EndpointsSink } from "@plimsoll/balancer/src/control/app/host.ts";
import type { EndpointStatus } from "@plimsoll/balancer/src/control/status.ts";
import type { Supervisor } from "@plimsoll/balancer/src/control/supervisor.ts";

/** How often the shared table is looked at, in ms. */
const look = 20;
/** How long a new endpoint may take from its first probe into rotation, in ms. */
const rotationPatience = 15_000;
/** Ms after the end of a drain's window in which workers cut what is left. */
const cutting = 500;
/** What of the supervisor is used. */
export type Traffic = Pick<Supervisor, "updateEndpoints" | "setEndpointState" | "status">;

/** `window` is the longest wait for a drain, in ms; `trouble` is told in a sentence what could not be done. */
export function trafficSink(
  traffic: Traffic,
  pool: string,
  window: number,
  trouble: (text: string) => void,
): EndpointsSink {
  const known = new Set<string>();
  const draining = new Set<string>();
  let current: readonly AppEndpoint[] = [];
  // Weight 0 takes an endpoint out of every worker's rotation, and the workers acknowledge it, which they do not for a state:
  // that they read from the shared table when they come to it. Afterwards "nothing in flight" stays true.
  const apply = () =>
    traffic.updateEndpoints(
      pool,
      current.map((endpoint) => ({ ...endpoint, weight: draining.has(endpoint.id) ? 0 : 1 })),
    );
  const find = (id: string): EndpointStatus | undefined =>
    traffic
      .status()
      .pools.find(({ name }) => name === pool)
      ?.endpoints.find((endpoint) => endpoint.id === id);

  return {
    async set(endpoints) {
      current = endpoints;
      const result = await apply();
      if (!result.ok) {
        trouble(`the balancer does not take these endpoints: ${result.problems.join("; ")}`);
        return false;
      }
      const fresh = endpoints.filter(({ id }) => !known.has(id)).map(({ id }) => id);
      for (const id of fresh) known.add(id);
      for (const id of known) {
        if (endpoints.some((endpoint) => endpoint.id === id)) continue;
        known.delete(id);
        draining.delete(id);
      }
      const waiting = (id: string): boolean => ["unknown", "unready"].includes(find(id)?.state ?? "gone");
      const late = await whileTrue(() => fresh.some(waiting), rotationPatience);
      for (const id of late ? fresh.filter(waiting) : []) {
        trouble(`${id} is not in rotation: ${find(id)?.reason ?? "it is unknown to the balancer"}`);
      }
      return !late;
    },
    async drain(id) {
      const problem = traffic.setEndpointState(pool, id, "draining", "it is being replaced", window);
      // It has fallen in the meantime, and is out of the list already.
      if (problem !== "") return;
      draining.add(id);
      const result = await apply();
      if (!result.ok) trouble(`the balancer does not let go of ${id}: ${result.problems.join("; ")}`);
      const busy = (): boolean => {
        const endpoint = find(id);
        return endpoint !== undefined && endpoint.inFlight + endpoint.tunnels > 0;
      };
      // Workers cut what is left at the end of the window, and the balancer's log says what that was.
      if (!(await whileTrue(busy, window + cutting))) return;
      const left = find(id);
      trouble(
        `${id} still has ${left?.inFlight ?? 0} in flight and ${left?.tunnels ?? 0} tunnels at the end of its drain window`,
      );
    },
  };
}

/** Waits while something is so; resolves to whether it still is after `limit` ms. */
async function whileTrue(isSo: () => boolean, limit: number): Promise<boolean> {
  const until = performance.now() + limit;
  while (isSo()) {
    if (performance.now() > until) return true;
    await Bun.sleep(look);
  }
  return false;
}

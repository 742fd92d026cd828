// A pool as anybody might configure it.
import type { Random } from "../../packages/balancer/src/base/random.ts";
import { algorithms } from "../../packages/balancer/src/pool/balance/table.ts";
import { poolPlan, readiness } from "../../packages/balancer/src/pool/fixtures.ts";
import type { AlgorithmName, PoolPlan } from "../../packages/balancer/src/pool/plan.ts";
import { randomEndpoint } from "./site.ts";

/** Rows of the table for endpoints. */
export const slots = 9;

export function randomPlan(random: Random): PoolPlan {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const size = 1 + Math.floor(random() * slots);
  const endpoints = Array.from({ length: size }, (_, slot) => randomEndpoint(slot, random));
  // A pool whose weights are all 0 is refused by the configuration.
  if (endpoints.every(({ weight }) => weight === 0)) endpoints[0] = { ...endpoints[0]!, weight: 1 };
  return poolPlan({
    endpoints,
    balance: pick(Object.keys(algorithms) as AlgorithmName[]),
    hashBalance: pick([0, 1.25]),
    zone: pick(["", "a"]),
    readiness: random() < 0.7 ? { ...readiness, interval: 1_000, rise: pick([1, 2]), fall: pick([1, 3]) } : null,
    failOpen: random() < 0.8,
    slowStart: pick([0, 5_000, 30_000]),
    outliers:
      random() < 0.1
        ? null
        : {
            maxEjected: pick([0.2, 0.5, 1]),
            base: pick([5_000, 30_000]),
            longest: 300_000,
            consecutive: pick([0, 3, 5]),
            latency: pick([0, 4]),
          },
    drain: { window: pick([500, 5_000]) },
    retry: { ...poolPlan().retry, attempts: pick([1, 2, 3]), budget: pick([0, 0.1, 0.5]) },
    limits: { inFlight: pick([0, 0, 2, 5]), queue: pick([0, 5, 20]), queueTimeout: pick([100, 1_000]) },
    keepAlive: { maxIdle: pick([0, 2, 8]), idle: 4_000, maxRequests: 0 },
  });
}

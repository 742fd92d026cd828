import { eventually } from "@plimsoll/testbed/waiting";
import { ask, type Asked, together } from "../asking.ts";
import type { RunningBalancer } from "../balancers/balancer.ts";
import { type Instance, withInstances } from "../instance.ts";
import { comeBackAll, leaveAll, withBalancers } from "../stage.ts";
import { type Chapter, failures, line, percentile, type Scale } from "./chapter.ts";

const scales = {
  // Three restarts fit into a minute with room between them.
  full: { rounds: 5, told: 2, lanes: 200, pause: 250, lag: 3000, between: 12_000 },
  quick: { rounds: 1, told: 1, lanes: 20, pause: 50, lag: 1500, between: 1000 },
} as const;

/** Each of three instances is ended in order and started again, one after the other, under load, a fifth of it POSTs. */
export const rollingRestart: Chapter = {
  name: "rolling-restart",
  title: "Rolling restart of 3 Node instances (keep-alive 5 s, graceful) under 200 connections",
  takes: "8 min",
  async run(kinds, scale, say) {
    const { rounds, told, lag } = scales[scale];
    return withInstances(
      Array.from({ length: 3 }, () => ({ lag })),
      (instances) =>
        withBalancers(
          kinds,
          instances.map((one) => one.address),
          {},
          async (balancers) => {
            const byReadiness = await manyRounds(balancers, instances, scale, rounds, false, say);
            const byOperator = await manyRounds(balancers, instances, scale, told, true, say);
            return [
              line(
                `the instance says not ready for ${lag} ms, then closes; ${rounds} rounds`,
                "count",
                byReadiness,
                failures,
              ),
              line("the same: times", "ms", byReadiness, percentile),
              line(
                `each balancer is told to drain it first, by its own means; ${told} rounds`,
                "count",
                byOperator,
                failures,
              ),
            ];
          },
        ),
    );
  },
};

async function manyRounds(
  balancers: readonly RunningBalancer[],
  instances: readonly Instance[],
  scale: Scale,
  rounds: number,
  drained: boolean,
  say: (text: string) => void,
): Promise<ReadonlyMap<string, Asked>> {
  const runs = new Map<string, Asked[]>(balancers.map((one) => [one.name, []]));
  const { lanes, pause, between } = scales[scale];
  for (let round = 0; round < rounds; round++) {
    const stop = new AbortController();
    const asking = balancers.map(async (one) => {
      const pauseOf = (lane: number, request: number): number => (request === 0 ? (pause * lane) / lanes : pause);
      const wanted = { port: one.port, story: one.name, lanes, work: 20, postEvery: 5, pause: pauseOf };
      const asked = await ask({ ...wanted, signal: stop.signal });
      runs.get(one.name)?.push(asked);
      const { text } = failures(asked);
      say(
        `  round ${round + 1}${drained ? ", drained first" : ""}, ${one.name}: ${text} ${asked.examples.join(" | ")}`,
      );
    });
    try {
      for (const instance of instances) {
        await Bun.sleep(between);
        if (drained) await leaveAndEmpty(balancers, instance);
        await instance.restart();
        if (drained) await comeBackAll(balancers, instance.address);
      }
      await Bun.sleep(between);
    } finally {
      stop.abort();
      await Promise.all(asking);
    }
  }
  return new Map([...runs].map(([name, all]) => [name, together(all)]));
}

/** Until nothing is in flight any more, and for half a second at least, as a careful script would wait. */
async function leaveAndEmpty(balancers: readonly RunningBalancer[], instance: Instance): Promise<void> {
  await leaveAll(balancers, instance.address);
  await Bun.sleep(500);
  await eventually("the instance to be empty", async () => {
    const { inFlight } = await instance.story();
    return Object.values(inFlight).every((count) => count === 0);
  });
}

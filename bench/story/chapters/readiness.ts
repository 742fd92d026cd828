import { ask, type Asked } from "../asking.ts";
import type { RunningBalancer } from "../balancers/balancer.ts";
import { type Instance, withInstances } from "../instance.ts";
import { withBalancers } from "../stage.ts";
import { type Chapter, failures, line } from "./chapter.ts";

const scales = {
  full: { rounds: 5, lanes: 50, slow: 60, slowFor: 5000, watch: 6000 },
  quick: { rounds: 1, lanes: 10, slow: 9, slowFor: 2000, watch: 1500 },
} as const;

/** Two failures, half a second apart with up to 15 % of jitter, and the time that a probe may take. */
const probe = { interval: 500, timeout: 400, rise: 2, fall: 2 } as const;
const settled = probe.fall * probe.interval * 1.15 + probe.timeout;

interface Flip {
  /** Requests that reached the instance after `settled`. */
  late: number;
  /** Ms from the flip to the last request before the instance was ready again, the worst of all rounds. */
  last: number;
  failed: number;
  slow: number;
  readonly asked: Asked[];
}

/** One of three says 503 to its probes and serves on; requests that take seconds are in flight there at that moment. */
export const readiness: Chapter = {
  name: "readiness",
  title: "Readiness flips to 503 on one of three (probes every 500 ms, fall 2)",
  takes: "1 min",
  async run(kinds, scale, say) {
    const { rounds } = scales[scale];
    return withInstances([{}, {}, {}], (instances) =>
      withBalancers(
        kinds,
        instances.map((one) => one.address),
        { probe },
        async (balancers) => {
          const flips = new Map<string, Flip>();
          for (const { name } of balancers) flips.set(name, { late: 0, last: 0, failed: 0, slow: 0, asked: [] });
          for (let round = 0; round < rounds; round++) await oneFlip(balancers, instances, scales[scale], flips);
          for (const [name, flip] of flips) say(`  ${name}: ${JSON.stringify({ ...flip, asked: undefined })}`);
          return [
            line(`requests that reach it after ${Math.round(settled)} ms`, "count", flips, ({ late, last }) => ({
              text: late > 0 ? `${late}; they never end` : `0; the last one ${Math.round(last)} ms after the flip`,
              bad: late,
            })),
            line("requests that were in flight", "count", flips, ({ failed, slow }) => ({
              text: `${failed} of ${slow} failed`,
              bad: failed,
            })),
            line("all other requests", "count", flips, ({ asked }) => {
              const failed = asked.reduce((sum, one) => sum + one.failed, 0);
              return { text: asked.map((one) => failures(one).text).join("; "), bad: failed };
            }),
          ];
        },
      ),
    );
  },
};

async function oneFlip(
  balancers: readonly RunningBalancer[],
  instances: readonly Instance[],
  scale: (typeof scales)["full" | "quick"],
  flips: ReadonlyMap<string, Flip>,
): Promise<void> {
  const [flipped] = instances;
  if (!flipped) return;
  const stop = new AbortController();
  const usual = balancers.map((one) =>
    ask({
      port: one.port,
      story: one.name,
      lanes: scale.lanes,
      work: 20,
      postEvery: 5,
      pause: (lane, at) => (at === 0 ? lane : 50),
      signal: stop.signal,
    }),
  );
  const slow = balancers.map((one) => {
    const wanted = { port: one.port, story: `${one.name} slow`, lanes: scale.slow, perLane: 1, work: scale.slowFor };
    return ask({ ...wanted, pause: () => 0 });
  });
  try {
    await Bun.sleep(500);
    await flipped.setReady(false);
    const from = performance.now();
    const lasts = new Map<string, number>();
    let before = (await flipped.story()).seen;
    let atSettled: Readonly<Record<string, number>> | undefined;
    while (performance.now() - from < settled + scale.watch) {
      await Bun.sleep(20);
      const { seen } = await flipped.story();
      const now = performance.now() - from;
      for (const { name } of balancers) if (seen[name] !== before[name]) lasts.set(name, now);
      before = seen;
      if (now > settled) atSettled ??= seen;
    }
    for (const { name } of balancers) {
      const flip = flips.get(name);
      if (!flip) continue;
      flip.late += (before[name] ?? 0) - (atSettled?.[name] ?? 0);
      flip.last = Math.max(flip.last, lasts.get(name) ?? 0);
    }
  } finally {
    await flipped.setReady(true);
    stop.abort();
    const asked = await Promise.all(usual);
    const finished = await Promise.all(slow);
    for (const [at, { name }] of balancers.entries()) {
      const flip = flips.get(name);
      const [one, other] = [asked[at], finished[at]];
      if (!flip || !one || !other) continue;
      flip.asked.push(one);
      flip.failed += other.failed;
      flip.slow += other.sent;
    }
  }
  // Ready again for everybody, before the next round.
  await Bun.sleep(probe.rise * probe.interval * 1.15 + probe.timeout);
}

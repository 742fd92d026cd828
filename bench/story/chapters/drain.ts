import { ask, type Asked } from "../asking.ts";
import type { RunningBalancer } from "../balancers/balancer.ts";
import { withInstances } from "../instance.ts";
import { leaveAll, withBalancers } from "../stage.ts";
import { openTunnels, type TunnelCount, type Tunnels } from "../tunnels.ts";
import { type Chapter, failures, line } from "./chapter.ts";

const scales = {
  // Twice as many as are wanted at the endpoint: half of them go to its neighbour.
  full: { slow: 200, slowFor: 10_000, tunnels: 200, window: 15_000 },
  quick: { slow: 20, slowFor: 2000, tunnels: 20, window: 4000 },
} as const;

interface Drained {
  readonly slow: Asked;
  readonly late: number;
  /** Within the window. */
  readonly here: TunnelCount;
  readonly elsewhere: TunnelCount;
}

/** One of two endpoints is drained while long requests and WebSockets are at both. */
export const drain: Chapter = {
  name: "drain",
  title: "Drain with 100 in flight of 10 s and 100 WebSockets, window 15 s",
  takes: "1 min",
  async run(kinds, scale, say) {
    const { window } = scales[scale];
    return withInstances([{}, {}], ([leaving, staying]) => {
      if (!leaving || !staying) throw new Error("two instances were asked for");
      return withBalancers(kinds, [leaving.address, staying.address], { window }, async (balancers) => {
        const tunnels = new Map<string, Tunnels>();
        const results = new Map<string, Drained>();
        try {
          for (const one of balancers) tunnels.set(one.name, await openTunnels(one.port, scales[scale].tunnels));
          const slow = balancers.map((one) => askSlowly(one, scales[scale]));
          const stop = new AbortController();
          const others = balancers.map((one) => askOn(one, stop.signal));
          await Bun.sleep(500);
          for (const one of tunnels.values()) one.mark();
          await leaveAll(balancers, leaving.address);
          // A command has to reach every worker.
          await Bun.sleep(500);
          const before = (await leaving.story()).seen;
          await Bun.sleep(window - 500 - 250);
          const within = new Map(
            balancers.map(({ name }) => [
              name,
              { here: countOf(tunnels, name, leaving.port), elsewhere: countOf(tunnels, name, staying.port) },
            ]),
          );
          const after = (await leaving.story()).seen;
          await Bun.sleep(250);
          await Promise.all(balancers.map((one) => one.kind.windowEnds(one, leaving.address)));
          stop.abort();
          await Promise.all(others);
          const asked = await Promise.all(slow);
          await Bun.sleep(1000);
          for (const [at, { name }] of balancers.entries()) {
            const one = asked[at];
            const ends = within.get(name);
            if (!one || !ends) continue;
            // What was open shortly before the window's end and ended without a word was cut.
            const final = countOf(tunnels, name, leaving.port);
            const late = (after[name] ?? 0) - (before[name] ?? 0);
            results.set(name, { slow: one, late, here: final, elsewhere: countOf(tunnels, name, staying.port) });
            say(
              `  ${name}: ${failures(one).text}, ${late} late, ${JSON.stringify(ends)}, then ${JSON.stringify(final)}`,
            );
          }
        } finally {
          for (const one of tunnels.values()) one.close();
        }
        return [
          line("requests of 10 s in flight", "count", results, ({ slow }) => failures(slow)),
          line("its WebSockets", "count", results, ({ here }) => ({ text: told(here), bad: here.cut + here.open })),
          line("WebSockets at the endpoint that stays", "count", results, ({ elsewhere }) => ({
            text: `${elsewhere.all - elsewhere.open} of ${elsewhere.all} ended`,
            bad: elsewhere.all - elsewhere.open,
          })),
          line("new requests that reach it from 0.5 s after the command", "count", results, ({ late }) => ({
            text: String(late),
            bad: late,
          })),
        ];
      });
    });
  },
};

function askSlowly(one: RunningBalancer, scale: (typeof scales)["full" | "quick"]): Promise<Asked> {
  const wanted = { port: one.port, story: `${one.name} slow`, lanes: scale.slow, perLane: 1, work: scale.slowFor };
  return ask({ ...wanted, timeout: scale.slowFor + 10_000, pause: () => 0 });
}

function askOn(one: RunningBalancer, signal: AbortSignal): Promise<Asked> {
  return ask({ port: one.port, story: one.name, lanes: 10, work: 10, pause: () => 50, signal });
}

function countOf(tunnels: ReadonlyMap<string, Tunnels>, name: string, port: number): TunnelCount {
  const found = tunnels.get(name);
  if (!found) throw new Error(`no tunnels of ${name}`);
  return found.at(port);
}

function told({ all, told: closed, cut, open, first, last }: TunnelCount): string {
  const parts = [`${closed} of ${all} closed with a close frame`];
  if (cut > 0) parts.push(`${cut} cut`);
  if (open > 0) parts.push(`${open} still open after the window`);
  if (first !== undefined && last !== undefined) parts.push(`from ${seconds(first)} to ${seconds(last)}`);
  return parts.join(", ");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

import { connectRaw } from "@plimsoll/testbed/raw-client";
import { ask, type Asked } from "../asking.ts";
import type { StoryBalancer } from "../balancers/balancer.ts";
import { type Instance, withInstances } from "../instance.ts";
import { withBalancers } from "../stage.ts";
import { type Chapter, failures, type Line, line } from "./chapter.ts";

const scales = {
  full: { lanes: 500, waves: 20, keepAlive: 5000 },
  quick: { lanes: 40, waves: 4, keepAlive: 1000 },
} as const;
type Size = (typeof scales)["full" | "quick"];

interface Application {
  readonly title: string;
  readonly silent: boolean;
  readonly keepAlive: number;
  /** What the balancers are told of it, those that have to be told. */
  readonly told: number;
}

/**
 * Waves of requests just when the instance closes the connections of the last wave: each wave is spread over 100 ms around
 * that moment, and all of a wave are in flight together, so that as many connections rest as there are clients.
 */
export const keepAlive: Chapter = {
  name: "keep-alive",
  title: "10,000 requests spaced to hit a Node instance's 5 s keep-alive closing, half of them POST",
  takes: "3 min",
  async run(kinds, scale, say) {
    const size = scales[scale];
    const lines: Line[] = [];
    const applications: readonly Application[] = [
      { title: "it says how long", silent: false, keepAlive: size.keepAlive, told: size.keepAlive },
      { title: "another closes sooner, says nothing, and nobody was told", silent: true, keepAlive: 1000, told: 5000 },
    ];
    for (const application of applications) lines.push(...(await before(application, kinds, size, say)));
    return lines;
  },
};

function before(
  { title, silent, keepAlive: kept, told }: Application,
  kinds: readonly StoryBalancer[],
  { lanes, waves }: Size,
  say: (text: string) => void,
): Promise<readonly Line[]> {
  return withInstances([{ keepAlive: kept, manner: silent ? "silent" : "good" }], async ([instance]) => {
    if (!instance) return [];
    const closes = await closingAge(instance);
    say(`  ${title}: the instance closes after ${Math.round(closes)} ms`);
    return withBalancers(kinds, [instance.address], { keepAlive: told }, async (balancers) => {
      const results = new Map<string, Asked>();
      await Promise.all(
        balancers.map(async (one) => {
          const pause = (lane: number, wave: number): number =>
            (wave === 0 ? 0 : closes - 60) + (100 * ((lane * 7 + wave * 3) % lanes)) / lanes;
          const wanted = { port: one.port, story: one.name, lanes, perLane: waves, work: 80, postEvery: 2, pause };
          const asked = await ask(wanted);
          results.set(one.name, asked);
          say(`  ${one.name}: ${failures(asked).text} ${asked.examples.join(" | ")}`);
        }),
      );
      const { seen } = await instance.story();
      const twice = new Map([...results].map(([name, asked]) => [name, (seen[name] ?? 0) - asked.sent]));
      return [
        line(`${title}: failed`, "count", results, failures),
        line(`${title}: POSTs among them`, "count", results, (one) => ({
          text: String(one.failedPosts),
          bad: one.failedPosts,
        })),
        line(`${title}: worked on more than once`, "count", twice, (count) => {
          const more = Math.max(0, count);
          return { text: String(more), bad: more };
        }),
      ];
    });
  });
}

/** When it really closes: newer versions of Node add a second to what they say. */
async function closingAge(instance: Instance): Promise<number> {
  const client = await connectRaw(instance.port);
  try {
    await client.send("GET /story HTTP/1.1\r\nHost: story.test\r\n\r\n");
    await client.readAnswer();
    const from = performance.now();
    await client.readEnd();
    return performance.now() - from;
  } finally {
    client.close();
  }
}

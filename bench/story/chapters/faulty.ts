import { ask, type Asked } from "../asking.ts";
import { type Manner, withInstances } from "../instance.ts";
import { withBalancers } from "../stage.ts";
import { type Chapter, failures, type Line, line, percentile } from "./chapter.ts";

const scales = {
  full: { lanes: 50, seconds: 30, pause: 100 },
  quick: { lanes: 10, seconds: 3, pause: 50 },
} as const;

/** What is wrong with one of three, and how it is told. */
const wrongs: readonly { readonly title: string; readonly manners: readonly Manner[] }[] = [
  { title: "one is black-holed", manners: ["hole"] },
  { title: "one refuses", manners: ["refuse"] },
  { title: "one resets in the middle of each answer", manners: ["reset"] },
  { title: "one is slow (2 s; it says ready)", manners: ["slow"] },
  { title: "one of each, and four good ones", manners: ["hole", "refuse", "reset", "slow"] },
];

/** Each fault by itself beside two good instances, and all of them together. A fifth of the requests are POSTs. */
export const faulty: Chapter = {
  name: "faulty",
  title: "One endpoint black-holed, one refusing, one resetting mid-answer, one slow",
  takes: "3 min",
  async run(kinds, scale, say) {
    const { lanes, seconds, pause } = scales[scale];
    const lines: Line[] = [];
    for (const { title, manners } of wrongs) {
      const good: Manner[] = Array.from({ length: manners.length === 1 ? 2 : 4 }, () => "good");
      const options = [...manners, ...good].map((manner) => ({ manner }));
      const results = await withInstances(options, (instances) => {
        const endpoints = instances.map((one) => one.address);
        // The first answer of each balancer comes before the fault is known: what is counted is what clients would see.
        return withBalancers(kinds, endpoints, { firstByte: 5000 }, async (balancers) => {
          const stop = AbortSignal.timeout(seconds * 1000);
          const seen = new Map<string, Asked>();
          await Promise.all(
            balancers.map(async (one) => {
              const pauseOf = (lane: number, at: number): number => (at === 0 ? (pause * lane) / lanes : pause);
              const wanted = { port: one.port, story: one.name, lanes, work: 20, postEvery: 5, pause: pauseOf };
              seen.set(one.name, await ask({ ...wanted, signal: stop }));
            }),
          );
          return seen;
        });
      });
      for (const [name, asked] of results)
        say(`  ${title}, ${name}: ${failures(asked).text}; ${percentile(asked).text} ${asked.examples[0] ?? ""}`);
      lines.push(line(`${title}: failed`, "count", results, failures));
      lines.push(line(`${title}: times`, "ms", results, percentile));
    }
    return lines;
  },
};

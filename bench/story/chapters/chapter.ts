// A chapter is one thing that happens to endpoints, and lines of a table that say what became of it with each balancer.
// Chapters must not know which balancers there are.
import type { Asked } from "../asking.ts";
import type { StoryBalancer } from "../balancers/balancer.ts";

export type Scale = "full" | "quick";

/** What one balancer did. `bad` is what counts: the less the better; 0 is perfect. */
export interface Figure {
  readonly text: string;
  readonly bad: number;
}

export interface Line {
  readonly title: string;
  /** What `bad` counts; times are measured, counts are counted. */
  readonly unit: "count" | "ms" | "us";
  /** By balancer. */
  readonly figures: Readonly<Record<string, Figure>>;
}

export interface Chapter {
  readonly name: string;
  readonly title: string;
  /** What it needs of time at full scale, for people. */
  readonly takes: string;
  run(kinds: readonly StoryBalancer[], scale: Scale, say: (text: string) => void): Promise<readonly Line[]>;
}

/** "0 of 12000 failed", or by kind. */
export function failures(asked: Asked): Figure {
  const kinds = Object.entries(asked.kinds).map(([kind, count]) => `${count} ${kind}`);
  const told = kinds.length > 0 ? ` (${kinds.join(", ")})` : "";
  return { text: `${asked.failed} of ${asked.sent} failed${told}`, bad: asked.failed };
}

export function percentile(asked: Asked): Figure {
  const text = `p99 ${Math.round(asked.p99)} ms, slowest ${Math.round(asked.slowest)} ms`;
  return { text: asked.overSecond > 0 ? `${text}, ${asked.overSecond} over 1 s` : text, bad: asked.p99 };
}

export function line<T>(
  title: string,
  unit: Line["unit"],
  results: ReadonlyMap<string, T>,
  figure: (one: T) => Figure,
): Line {
  return { title, unit, figures: Object.fromEntries([...results].map(([name, one]) => [name, figure(one)])) };
}

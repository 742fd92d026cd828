// The weighted split: which of several pools takes a request.
import type { Random } from "../../base/random.ts";

/** Picks a part; returns its index. */
export type SplitStep = (random: Random) => number;

/**
 * Compiles weights into a choice. Each part's share is its weight over the sum; weight 0 is never picked. If all are 0
 * (which the check refuses) the first part is.
 */
export function compileSplit(parts: readonly { readonly weight: number }[]): SplitStep {
  const indexes: number[] = [];
  const ends: number[] = [];
  let sum = 0;
  parts.forEach((part, index) => {
    if (!(part.weight > 0)) return;
    sum += part.weight;
    indexes.push(index);
    ends.push(sum);
  });
  if (indexes.length === 0) return () => 0;
  if (indexes.length === 1) return () => indexes[0]!;
  const last = ends.length - 1;
  return (random) => {
    const point = random() * sum;
    let i = 0;
    while (i < last && point >= ends[i]!) i++;
    return indexes[i]!;
  };
}

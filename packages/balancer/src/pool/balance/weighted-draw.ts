// Drawing by weight in O(1): Vose's alias method. Two table reads a draw, whatever the weights.
import type { Random } from "../../base/random.ts";

/** Draws an index with probability weight / total. */
export interface Draw {
  (): number;
  /** Draws another index than `taken`, by weight among the rest. Needs at least two entries. */
  other(taken: number): number;
}

export function weightedDraw(weighted: readonly { readonly weight: number }[], random: Random): Draw {
  const size = weighted.length;
  const first = weighted[0]!.weight;
  const draw = weighted.every((entry) => entry.weight === first)
    ? () => Math.floor(random() * size)
    : aliasDraw(weighted, random);

  function other(taken: number): number {
    // Conditional on "not the one taken" a repeated draw is exactly right; one entry with nearly all the weight would
    // make it long, so it is bounded and then any other one will do.
    for (let tries = 0; tries < 4; tries++) {
      const index = draw();
      if (index !== taken) return index;
    }
    const index = Math.floor(random() * (size - 1));
    return index >= taken ? index + 1 : index;
  }
  return Object.assign(draw, { other });
}

function aliasDraw(weighted: readonly { readonly weight: number }[], random: Random): () => number {
  const size = weighted.length;
  let total = 0;
  for (const { weight } of weighted) total += weight;
  const share = Float64Array.from(weighted, ({ weight }) => (weight * size) / total);
  const alias = new Uint32Array(size);
  const small: number[] = [];
  const large: number[] = [];
  for (let i = 0; i < size; i++) (share[i]! < 1 ? small : large).push(i);
  while (small.length > 0 && large.length > 0) {
    const less = small.pop()!;
    const more = large.at(-1)!;
    alias[less] = more;
    share[more]! -= 1 - share[less]!;
    if (share[more]! < 1) small.push(large.pop()!);
  }
  // What is left over differs from 1 by rounding only.
  for (const index of small) share[index] = 1;
  for (const index of large) share[index] = 1;
  return () => {
    const at = random() * size;
    const index = Math.floor(at);
    return at - index < share[index]! ? index : alias[index]!;
  };
}

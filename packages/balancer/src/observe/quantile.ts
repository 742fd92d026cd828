// Quantiles from the buckets of a histogram.
import { latencyBuckets } from "./table.ts";

/**
 * The value below which a share `q` (0 to 1) of what was counted lies: `counts` has one count for each of `bounds` (ascending
 * upper bounds) and one more for what is above the last. Linear within a bucket, as Prometheus does it; the last bound
 * when it lies above that, so that what is told is never more than was seen. Null if nothing was counted.
 */
export function quantile(
  counts: readonly number[],
  q: number,
  bounds: readonly number[] = latencyBuckets,
): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const wanted = q * total;
  let below = 0;
  for (const [index, bound] of bounds.entries()) {
    const count = counts[index] ?? 0;
    if (count > 0 && below + count >= wanted) {
      const from = index === 0 ? 0 : (bounds[index - 1] ?? 0);
      return from + (bound - from) * Math.max(0, (wanted - below) / count);
    }
    below += count;
  }
  return bounds.at(-1) ?? null;
}

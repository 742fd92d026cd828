// Slow start under few requests: who warms up has nothing in flight most of the time, so whoever compares requests in flight
// would find it the least loaded of all, and give it as much as its peers from its first second on (0.6 of a peer's requests
// with leastOutstanding, 6 clients and 4 endpoints, measured). Therefore it is met only when a draw by weight has named it,
// which happens as often as its share says.
import type { Endpoint } from "../endpoint.ts";
import type { Draw } from "./weighted-draw.ts";

/** Who has less than this of the warmest one's share is colder; when a whole pool warms up together, nobody is. */
const alike = 0.9;
/** How often another is drawn in place of a colder one. */
const redraws = 3;

/** By index, whether an endpoint warms up beside others that have more of their share; null when none does. */
export function colderOnes(usable: readonly Endpoint[]): readonly boolean[] | null {
  let warmest = 0;
  for (const { share } of usable) warmest = Math.max(warmest, share);
  const colder = usable.map(({ share }) => share < warmest * alike);
  return colder.includes(true) ? colder : null;
}

/** Index of somebody to compare the drawn one with: not a colder one, so -1 if none was found. */
export function warmOther(draw: Draw, drawn: number, colder: readonly boolean[]): number {
  for (let i = 0; i <= redraws; i++) {
    const other = draw.other(drawn);
    if (colder[other] !== true) return other;
  }
  return -1;
}

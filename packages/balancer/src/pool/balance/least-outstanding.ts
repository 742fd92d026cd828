// The one with the fewest exchanges in flight per weight, over all workers, at this moment. Ties go by weight and chance.
// Up to 128 endpoints it asks every one and is exact. Beyond that it asks 128 neighbours in a shuffled order: the least of
// 128 of a thousand is among the least-loaded 1 % in three of four draws, and asking all would read 128 KB per worker a pick.
import type { Random } from "../../base/random.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Algorithm } from "./algorithm.ts";
import { colderOnes } from "./warming.ts";
import { weightedDraw } from "./weighted-draw.ts";

const window = 128;

export const leastOutstanding: Algorithm = {
  name: "leastOutstanding",
  how: "the one with the fewest requests in flight, by weight",
  needsKey: false,
  build(usable, random) {
    const order = usable.length > window ? shuffled(usable, random) : usable;
    const draw = weightedDraw(order, random);
    const count = Math.min(window, order.length);
    const colder = colderOnes(order);
    return () => {
      const start = draw();
      let best = order[start]!;
      // Half a weight cannot have half a request: one that warms up and was drawn may have one more than its weight says.
      const spare = colder?.[start] === true ? 1 : 0;
      let load = Math.max(0, best.inFlight() - spare) / best.weight;
      // Nothing is less than nothing: in a pool with idle endpoints most picks end here, and go by weight.
      if (load === 0) return best;
      let tied = best.weight;
      for (let i = 1, at = start + 1; i < count; i++, at++) {
        if (at >= order.length) at -= order.length;
        if (colder?.[at] === true) continue;
        const endpoint = order[at]!;
        const other = endpoint.inFlight() / endpoint.weight;
        if (other > load) continue;
        tied = other < load ? endpoint.weight : tied + endpoint.weight;
        // Of those that tie, each stays with its share of their weight: the drawn one's neighbours must not get more.
        if (other < load || random() * tied < endpoint.weight) best = endpoint;
        load = other;
      }
      return best;
    };
  },
};

function shuffled(endpoints: readonly Endpoint[], random: Random): readonly Endpoint[] {
  const order = [...endpoints];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

// On a ring of points (../ring.ts): an endpoint that leaves or comes moves only its own keys. With a bounded load (Mirrokni,
// Thorup, Zadimoghaddam: "Consistent Hashing with Bounded Loads") nobody gets more than `hashBalance` of the mean: a popular
// key's surplus goes on to the next on the ring, always the same one.
import { mix } from "../../base/hash.ts";
import type { Endpoint } from "../endpoint.ts";
import { buildRing, successor } from "../ring.ts";
import type { Algorithm, Surroundings } from "./algorithm.ts";

/** How far to walk past those that are full: with a bound somebody has room long before. */
const longestWalk = 512;

export const ringHash: Algorithm = {
  name: "ringHash",
  how: "by the hash of the key, on a ring",
  needsKey: true,
  build(usable, _random, surroundings) {
    const ring = buildRing(usable.map(({ id, weight }) => ({ name: id, weight })));
    const totalWeight = usable.reduce((sum, endpoint) => sum + endpoint.weight, 0);
    return (key) => {
      const start = successor(ring.points, mix(key));
      const bound = loadPerWeight(surroundings, totalWeight);
      let at = start;
      for (let steps = 0; steps < longestWalk; steps++) {
        const endpoint = usable[ring.owners[at]!]!;
        if (takes(endpoint, bound)) return endpoint;
        at = at + 1 === ring.points.length ? 0 : at + 1;
      }
      return usable[ring.owners[start]!]!;
    };
  },
};

/** In flight per weight that nobody may exceed, the coming exchange included. */
function loadPerWeight({ load, hashBalance }: Surroundings, totalWeight: number): number {
  return hashBalance === 0 ? Infinity : (hashBalance * (load.own + load.others + 1)) / totalWeight;
}

function takes(endpoint: Endpoint, bound: number): boolean {
  if (endpoint.ejected || !endpoint.hasRoom()) return false;
  return bound === Infinity || endpoint.inFlight() + 1 <= Math.ceil(bound * endpoint.weight);
}

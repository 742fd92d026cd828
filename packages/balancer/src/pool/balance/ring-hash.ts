// A ring of points: a key belongs to the first point at or after it, so an endpoint that leaves or comes moves only its
// own keys. With a bounded load (Mirrokni, Thorup, Zadimoghaddam: "Consistent Hashing with Bounded Loads") nobody gets
// more than `hashBalance` of the mean: a popular key's surplus goes on to the next on the ring, always the same one.
import { hashString, mix } from "../../base/hash.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Algorithm, Surroundings } from "./algorithm.ts";

/** Points per unit of weight: what ketama has, for shares within about 8 %. */
const pointsPerWeight = 160;
/** More points than this and the ring leaves the cache; points per weight are then halved until they fit. */
const mostPoints = 131_072;
/** How far to walk past those that are full: with a bound somebody has room long before. */
const longestWalk = 512;

interface Ring {
  /** Ascending, unsigned 32 bits. */
  readonly points: Uint32Array;
  /** Index of the endpoint that owns each point. */
  readonly owners: Uint32Array;
}

export const ringHash: Algorithm = {
  name: "ringHash",
  how: "by the hash of the key, on a ring",
  needsKey: true,
  build(usable, _random, surroundings) {
    const ring = buildRing(usable);
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

function buildRing(usable: readonly Endpoint[]): Ring {
  // An endpoint's points depend on itself alone: its id, and its weight by a factor that only changes by halves. A mean or
  // a maximum over the others would move everybody's points with each one that comes or goes.
  let factor = pointsPerWeight;
  while (countPoints(usable, factor) > mostPoints && factor > 1e-6) factor /= 2;

  // Sorted as one number: 32 bits of point above 20 bits of owner, exact in a double, and the native sort is fast.
  const packed = new Float64Array(countPoints(usable, factor));
  let size = 0;
  for (const [index, { id, weight }] of usable.entries()) {
    const seed = hashString(id);
    const count = pointsOf(weight, factor);
    for (let i = 0; i < count; i++) packed[size++] = mix(seed + Math.imul(i, 0x9e3779b1)) * 2 ** 20 + index;
  }
  packed.sort();
  const points = new Uint32Array(size);
  const owners = new Uint32Array(size);
  for (let i = 0; i < size; i++) {
    const entry = packed[i]!;
    const point = Math.floor(entry / 2 ** 20);
    points[i] = point;
    owners[i] = entry - point * 2 ** 20;
  }
  return { points, owners };
}

function countPoints(usable: readonly Endpoint[], factor: number): number {
  let count = 0;
  for (const { weight } of usable) count += pointsOf(weight, factor);
  return count;
}

function pointsOf(weight: number, factor: number): number {
  return Math.max(1, Math.round(weight * factor));
}

/** Index of the first point at or after `position`, around the end to the first one. */
function successor(points: Uint32Array, position: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (points[middle]! < position) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}

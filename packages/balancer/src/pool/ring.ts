// A ring of points, for whoever must find the same endpoint for the same key: a key belongs to the first point at or after
// it, so an endpoint that leaves or comes moves only its own keys.
import { hashString, mix } from "../base/hash.ts";

/** Points per unit of weight: what ketama has, for shares within about 8 %. */
const pointsPerWeight = 160;
/** More points than this and the ring leaves the cache; points per weight are then halved until they fit. */
const mostPoints = 131_072;

/** Somebody with points on a ring. */
export interface RingMember {
  readonly name: string;
  readonly weight: number;
}

export interface Ring {
  /** Ascending, unsigned 32 bits. */
  readonly points: Uint32Array;
  /** Index of the member that owns each point. */
  readonly owners: Uint32Array;
}

export function buildRing(members: readonly RingMember[]): Ring {
  // A member's points depend on itself alone: its name, and its weight by a factor that only changes by halves. A mean or
  // a maximum over the others would move everybody's points with each one that comes or goes.
  let factor = pointsPerWeight;
  while (countPoints(members, factor) > mostPoints && factor > 1e-6) factor /= 2;

  // Sorted as one number: 32 bits of point above 20 bits of owner, exact in a double, and the native sort is fast.
  const packed = new Float64Array(countPoints(members, factor));
  let size = 0;
  for (const [index, { name, weight }] of members.entries()) {
    const seed = hashString(name);
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

function countPoints(members: readonly RingMember[], factor: number): number {
  let count = 0;
  for (const { weight } of members) count += pointsOf(weight, factor);
  return count;
}

function pointsOf(weight: number, factor: number): number {
  return Math.max(1, Math.round(weight * factor));
}

/** Index of the first point at or after `position`, around the end to the first one. The ring is not empty. */
export function successor(points: Uint32Array, position: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (points[middle]! < position) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}

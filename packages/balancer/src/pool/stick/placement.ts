// Where a hash belongs: on a ring over all endpoints of the pool, so that one that is out for a while loses its clients and
// nobody else does, and gets the same ones back. It depends on names and weights alone: every worker, and every balancer
// with the same endpoints, finds the same one.
import { mix } from "../../base/hash.ts";
import type { Endpoint } from "../endpoint.ts";
import { buildRing, successor, type Ring } from "../ring.ts";
import type { StickSurroundings } from "./stick.ts";

export class Placement {
  readonly #ring: Ring;
  readonly #endpoints: readonly Endpoint[];
  readonly #surroundings: StickSurroundings;

  constructor(surroundings: StickSurroundings) {
    this.#surroundings = surroundings;
    this.#endpoints = surroundings.endpoints;
    this.#ring = buildRing(
      this.#endpoints.map(({ stableId }, index) => ({ name: stableId, weight: surroundings.weights[index]! })),
    );
  }

  /**
   * The first endpoint in rotation from the hash's place on; null when nobody is. One that drains is passed over at once: a
   * hash cannot tell its clients from new ones.
   */
  find(hash: number): Endpoint | null {
    const { points, owners } = this.#ring;
    if (points.length === 0) return null;
    let at = successor(points, mix(hash));
    for (let steps = 0; steps < points.length; steps++) {
      const endpoint = this.#endpoints[owners[at]!]!;
      if (!endpoint.ejected && this.#surroundings.inRotation(endpoint)) return endpoint;
      at = at + 1 === points.length ? 0 : at + 1;
    }
    return null;
  }
}

// pool/balance/: one file per algorithm, one line each in table.ts. An algorithm knows endpoints' weights, loads and
// latencies; it must not know states, queues, tiers or zones: whatever it is given is usable.
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Endpoint, PoolLoad } from "../endpoint.ts";

/** What an algorithm may need besides the endpoints. */
export interface Surroundings {
  readonly clock: Clock;
  /** In-flight exchanges of the whole pool. */
  readonly load: PoolLoad;
  /** Most share of the mean load one endpoint may have (1.25); 0 = unbounded. */
  readonly hashBalance: number;
}

/** Picks one of the endpoints it was built over; `key` is an unsigned 32-bit hash, used only where `needsKey`. */
export type Picker = (key: number) => Endpoint;

export interface Algorithm {
  readonly name: string;
  /** How it chooses, for `explain` and the documentation: "each in turn, by weight". */
  readonly how: string;
  /** Whether the same key should find the same endpoint: the caller then has to compute one. */
  readonly needsKey: boolean;
  /** Folds the usable endpoints (never empty) into a picker. The array is kept and never changed. */
  build(usable: readonly Endpoint[], random: Random, surroundings: Surroundings): Picker;
}

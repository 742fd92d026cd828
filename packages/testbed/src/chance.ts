// Chance that can be repeated: the same seed gives the same numbers. When a test over many seeds fails, it says which.

/** Uniform in [0, 1), as the engine's Random. */
export type Chance = () => number;

/** Numbers from a seed, by sfc32 (128 bits of state, a period far beyond any test). */
export function seeded(seed: number): Chance {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed >>> 0;
  let counter = (Math.floor(seed / 0x1_0000_0000) * 2 + 1) | 0;
  const next: Chance = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 0x1_0000_0000;
  };
  for (let round = 0; round < 15; round++) next();
  return next;
}

/** An integer in [from, to]. */
export function between(chance: Chance, from: number, to: number): number {
  return from + Math.floor(chance() * (to - from + 1));
}

/** One of a list. */
export function oneOf<T>(chance: Chance, list: readonly T[]): T {
  const chosen = list[between(chance, 0, list.length - 1)];
  if (chosen === undefined) throw new Error("one of an empty list");
  return chosen;
}

/** A sorted list of places to cut `length` bytes at, from none to all of them. */
export function cuts(chance: Chance, length: number): readonly number[] {
  const share = chance() ** 3;
  const places: number[] = [];
  for (let at = 1; at < length; at++) if (chance() < share) places.push(at);
  return places;
}

/**
 * Runs `body` with `count` seeds, 1 to `count`, or with the one in PLIMSOLL_SEED. An Error thrown by it is thrown again
 * with the seed in front of its message.
 */
export async function forSeeds(
  count: number,
  body: (chance: Chance, seed: number) => void | Promise<void>,
): Promise<void> {
  const only = Number(process.env["PLIMSOLL_SEED"] ?? 0);
  for (let seed = only || 1; seed <= (only || count); seed++) {
    try {
      await body(seeded(seed), seed);
    } catch (error) {
      if (error instanceof Error) error.message = `with PLIMSOLL_SEED=${seed}: ${error.message}`;
      throw error;
    }
  }
}

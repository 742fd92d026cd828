// What the engine knows of chance: a function handed in, so that every decision can be replayed from a seed.

/** Uniform in [0, 1). */
export type Random = () => number;

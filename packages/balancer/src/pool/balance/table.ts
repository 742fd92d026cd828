// Every algorithm by its name in the configuration. A new one is one file and one line here; the contract suite finds it.
import type { AlgorithmName } from "../plan.ts";
import type { Algorithm } from "./algorithm.ts";
import { p2c } from "./p2c.ts";
import { roundRobin } from "./round-robin.ts";

export const algorithms: Readonly<Record<AlgorithmName, Algorithm>> = {
  roundRobin,
  leastOutstanding: p2c,
  p2c,
  peakEwma: p2c,
  ringHash: p2c,
  maglev: p2c,
  random: p2c,
  first: p2c,
};

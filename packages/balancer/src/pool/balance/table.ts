// Every algorithm by its name in the configuration. A new one is one file and one line here; the contract suite finds it.
import type { AlgorithmName } from "../plan.ts";
import type { Algorithm } from "./algorithm.ts";
import { first } from "./first.ts";
import { leastOutstanding } from "./least-outstanding.ts";
import { maglev } from "./maglev.ts";
import { p2c } from "./p2c.ts";
import { peakEwma } from "./peak-ewma.ts";
import { random } from "./random.ts";
import { ringHash } from "./ring-hash.ts";
import { roundRobin } from "./round-robin.ts";

export const algorithms: Readonly<Record<AlgorithmName, Algorithm>> = {
  roundRobin,
  leastOutstanding,
  p2c,
  peakEwma,
  ringHash,
  maglev,
  random,
  first,
};

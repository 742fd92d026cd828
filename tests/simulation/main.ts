// `npm run simulate`: as many seeds as asked for, and what went wrong with the first that fails.
//
//   npm run simulate -- --seeds 10000           seeds 1 to 10,000
//   npm run simulate -- --seeds 500 --from 7000
//   npm run simulate -- --seed 4711             one seed, with all that happened in it
import { parseArgs } from "node:util";
import { simulate } from "./world.ts";

function main(): number {
  const { values } = parseArgs({
    options: { seeds: { type: "string" }, from: { type: "string" }, seed: { type: "string" } },
  });
  const numbers = [values.seeds ?? "200", values.from ?? "1", values.seed ?? "1"].map(Number);
  if (numbers.some((each) => !Number.isSafeInteger(each) || each < 0)) {
    console.error("--seeds, --from and --seed take whole numbers");
    return 2;
  }
  const [seeds = 0, from = 0, seed = 0] = numbers;
  if (values.seed !== undefined) return one(seed);
  let requests = 0;
  let ejections = 0;
  for (let at = from; at < from + seeds; at++) {
    const outcome = simulate(at);
    requests += outcome.requests;
    ejections += outcome.ejections;
    if (outcome.broken !== "") return one(at);
    if ((at - from + 1) % 1_000 === 0) console.log(`${at - from + 1} seeds`);
  }
  console.log(`${seeds} seeds from ${from}: ${requests} requests, ${ejections} ejections, nothing broke`);
  return 0;
}

function one(seed: number): number {
  const { trace, broken, requests } = simulate(seed);
  for (const line of trace) console.log(line);
  console.log(broken === "" ? `seed ${seed}: ${requests} requests, nothing broke` : `seed ${seed} broke: ${broken}`);
  if (broken !== "") console.log(`Again: npm run simulate -- --seed ${seed}`);
  return broken === "" ? 0 : 1;
}

process.exit(main());

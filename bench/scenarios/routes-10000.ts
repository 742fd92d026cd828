import { load, type Scale, scenario } from "./scenario.ts";

function count(scale: Scale): number {
  return scale === "full" ? 10_000 : 200;
}

export const routes10000 = scenario({
  name: "routes-10000",
  title: "10,000 routes",
  text: "One hundred of them asked in turn, spread over the table.",
  routes: count,
  load: (scale) => load({ paths: Array.from({ length: 100 }, (_, at) => `/r${at * (count(scale) / 100)}/`) }),
});

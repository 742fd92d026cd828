import { scenario } from "./scenario.ts";

export const memory = scenario({
  name: "memory",
  title: "Memory over a million requests",
  text: "Resident memory after 100,000 requests and after 1,000,000: what grows with the number of requests is a leak.",
  measures: "memory",
});

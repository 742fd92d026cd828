import { scenario } from "./scenario.ts";

export const idle10000 = scenario({
  name: "idle-10000",
  title: "10,000 idle connections",
  text: "The plain load while ten thousand clients keep their connections open and ask nothing.",
  idle: (scale) => (scale === "full" ? 10_000 : 200),
});

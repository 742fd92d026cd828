import { scenario } from "./scenario.ts";

export const endpoints1000 = scenario({
  name: "endpoints-1000",
  title: "1,000 endpoints",
  text: "One pool with a thousand endpoints; connections to each are kept.",
  endpoints: (scale) => (scale === "full" ? 1000 : 20),
});

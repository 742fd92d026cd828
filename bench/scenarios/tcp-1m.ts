import { load, scenario } from "./scenario.ts";

export const tcp1m = scenario({
  name: "tcp-1m",
  title: "TCP passed on, 1 MB each",
  text: "What it costs to pass bytes on that nobody reads: HTTP of wrk and origin, to the balancer a stream.",
  layer: "tcp",
  load: () => load({ paths: ["/1m"], connections: 32 }),
});

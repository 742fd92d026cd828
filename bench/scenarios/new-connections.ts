import { load, scenario } from "./scenario.ts";

export const newConnections = scenario({
  name: "new-connections",
  title: "A new connection for each request",
  text: "Clients that close after each answer; the balancer's own connections to the endpoints are kept.",
  load: () => load({ closing: true }),
});

import { load, scenario } from "./scenario.ts";

export const tcpConnections = scenario({
  name: "tcp-connections",
  title: "TCP passed on, a new connection each",
  text: "What a connection costs from accept to end, with a small request in it.",
  layer: "tcp",
  load: () => load({ closing: true }),
});

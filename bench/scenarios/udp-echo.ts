import { load, scenario } from "./scenario.ts";

export const udpEcho = scenario({
  name: "udp-echo",
  title: "UDP, a datagram and its echo",
  text: "64 clients, each with one datagram of 64 bytes under way. Load and origin are programs of ours on one core, which is what bounds the rate; the CPU time is the balancer's own.",
  layer: "udp",
  load: () => load(),
});

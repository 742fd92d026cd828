import { load, scenario } from "./scenario.ts";

export const websocketEcho = scenario({
  name: "websocket-echo",
  title: "WebSockets, a message and its echo",
  text: "64 clients with a tunnel each, and in it one text message of 64 bytes under way. Load and origin are programs of ours on one core, which may be what bounds the rate; the CPU time is the balancer's own. A request is a message and its echo.",
  load: () => load({ tunnels: true }),
});

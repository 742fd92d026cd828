import { load, scenario } from "./scenario.ts";

export const tcpProxyProtocol = scenario({
  name: "tcp-proxy-protocol",
  title: "TCP passed on with a PROXY header, a new connection each",
  text: "The scenario above with a header of version 1 (the one that all can send) before the client's first byte; the origin reads it.",
  layer: "tcp",
  proxyProtocol: true,
  load: () => load({ closing: true }),
});

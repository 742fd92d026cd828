import { load, scenario } from "./scenario.ts";

export const tlsResumed = scenario({
  name: "tls-resumed",
  title: "TLS, a resumed handshake for each request",
  text: "Clients that come again with the ticket they were given, by TLS 1.3 and X25519. What it costs less than the full handshake above is what a ticket saves. The load is a program of ours; p50 and p99 are those of the handshake, from connecting on.",
  layer: "https",
  load: () => load({ closing: true, resuming: true }),
});

import { load, scenario } from "./scenario.ts";

export const tlsHandshakes = scenario({
  name: "tls-handshakes",
  title: "TLS, a full handshake for each request",
  text: "Clients that come anew and resume nothing: TLS 1.3, a certificate with ECDSA on P-256. Requests a second are handshakes a second.",
  layer: "https",
  load: () => load({ closing: true }),
});

import { scenario } from "./scenario.ts";

export const tlsKeepAlive64 = scenario({
  name: "tls-keep-alive-64",
  title: "TLS, keep-alive, 64 connections",
  text: "Small answers on kept, encrypted connections: the price of one request, decrypted and encrypted.",
  layer: "https",
});

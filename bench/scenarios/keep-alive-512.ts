import { load, scenario } from "./scenario.ts";

export const keepAlive512 = scenario({
  name: "keep-alive-512",
  title: "Keep-alive, 512 connections",
  text: "The same with more connections than fit into a processor's caches.",
  load: () => load({ connections: 512 }),
});

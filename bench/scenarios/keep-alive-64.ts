import { scenario } from "./scenario.ts";

export const keepAlive64 = scenario({
  name: "keep-alive-64",
  title: "Keep-alive, 64 connections",
  text: "Small answers on kept connections: the price of one request.",
});

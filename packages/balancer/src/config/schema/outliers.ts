// When an endpoint that does worse than its peers is put out of rotation.
import { z } from "zod";
import { duration, integer, leafFacts, oneOf, share, shorthand } from "./leaf.ts";

const detailSchema = z.strictObject({
  detect: oneOf(["on", "off"])
    .default("on")
    .describe("Whether endpoints are compared at all; `outliers: off` is the short form."),
  maxEjected: share()
    .prefault("50%")
    .describe(
      "Most of the pool that may be ejected at a time, rounded down, but at least one endpoint of two or more. The last usable one never is.",
    ),
  base: duration()
    .prefault("30s")
    .describe("First time out. Each further one is longer by as much; good conduct makes it shorter again."),
  longest: duration().prefault("5m").describe("Longest time out."),
  consecutive: integer(0, 1000)
    .default(5)
    .describe(
      "Failures in a row that may eject an endpoint: answers with 5xx, resets, timeouts, failed connects. 0 for never by this: shares over half a minute are compared all the same.",
    ),
  latency: z
    .number()
    .min(0)
    .max(1000)
    .register(leafFacts, {
      noun: "a number",
      hint: "write how many times slower than its peers, such as 4; 0 for never",
    })
    .default(4)
    .describe(
      "How many times slower than its peers an endpoint must be to be ejected for it, and by 100 ms at least; 0 for never.",
    ),
});

export const outliersSchema = shorthand("detect", detailSchema)
  .prefault({})
  .meta({ examples: [{ maxEjected: "50%", base: "30s" }, "off"] })
  .describe("Ejects endpoints whose real traffic goes worse than their peers'.");

export type OutliersConfig = z.output<typeof detailSchema>;

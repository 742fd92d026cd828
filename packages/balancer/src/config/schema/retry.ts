// Retries, as pools and routes both have them.
import { z } from "zod";
import { integer, share } from "./leaf.ts";

/** Without defaults: a route that says nothing takes its pool's, a pool the program's (`../defaults.ts`). */
export function retrySchema(meaning: string) {
  return z
    .strictObject({
      attempts: integer(1, 10)
        .describe("Tries in all, the first included; 1 means no retry. A pool's default is 2.")
        .optional(),
      budget: share()
        .describe("Retries as a share of requests, never fewer than 3 a second. A pool's default is 20%.")
        .optional(),
    })
    .describe(meaning);
}

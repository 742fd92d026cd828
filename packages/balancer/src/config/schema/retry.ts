// Retries, as pools and routes both have them.
import { z } from "zod";
import type { Misread } from "../../base/units.ts";
import type { RetryOn } from "../../pool/plan.ts";
import { duration, flag, integer, oneOrMany, share, shortForms, written } from "./leaf.ts";

const onHint = "write connect, reset, timeout, or a status from 400 to 599";

function parseRetryOn(text: string): RetryOn | Misread {
  if (text === "connect" || text === "reset" || text === "timeout") return text;
  if (/^[45]\d\d$/.test(text)) return Number(text);
  if (/^[45]xx$/.test(text)) return { reason: "each status has to be meant", hint: "write them out: 502, 503, 504" };
  return { reason: "it is neither a word for one nor a status", hint: onHint };
}

const retryOn = (
  z.preprocess(
    // 503 is a number in YAML.
    (value): unknown => (typeof value === "number" ? String(value) : value),
    written({ noun: "a reason to try again", hint: onHint }, parseRetryOn),
  ) as unknown as z.ZodType<RetryOn, string | number>
).register(shortForms, { json: { type: "integer", minimum: 400, maximum: 599 } });

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
      on: oneOrMany(retryOn)
        .meta({ examples: [["connect", "reset", 503]] })
        .describe(
          "What is tried again: `connect` (no connection was made: any method), and for methods that are safe to repeat `reset` (the connection ended before an answer), `timeout` (no answer within `firstByte`) and statuses of answers. What `perTry` ends is always tried again where it is safe. A pool's default is connect and reset.",
        )
        .optional(),
      idempotencyKey: flag()
        .describe(
          "Whether a request with an Idempotency-Key is safe to repeat whatever its method: only where the application keeps that promise. A pool's default is false.",
        )
        .optional(),
      hedge: duration({ zero: true })
        .describe(
          "After this time without an answer a GET or HEAD is sent to a second endpoint, too; the first answer wins, and the other is cancelled. It counts as a try and within the budget. A pool's default is 0s: never.",
        )
        .optional(),
    })
    .describe(meaning);
}

export type RetryConfig = z.output<ReturnType<typeof retrySchema>>;

// What the operator knows of the world around the balancer: the other rungs of the timeout hierarchy. Nothing here changes
// what the balancer does; hierarchy/ proves with it that each rung outlasts the one below.
import { z } from "zod";
import { duration, text } from "./leaf.ts";

/** How long each waits for the one below it; a route may know better than its pool. */
const waits = {
  client: duration()
    .meta({ examples: ["120s"] })
    .describe(
      "How long clients wait for an answer: the shortest of their timeouts, and of what stands before this balancer.",
    )
    .optional(),
  app: duration()
    .meta({ examples: ["30s"] })
    .describe("How long the application works on a request at most, before it gives up by itself.")
    .optional(),
  downstream: duration()
    .meta({ examples: ["20s"] })
    .describe("How long the application waits at most for what it calls: a database, another service.")
    .optional(),
};

const what = "What the other rungs are set to, so that `check` can prove that each outlasts the one below it";

export const poolDeclaredSchema = z
  .strictObject({
    ...waits,
    keepAlive: duration()
      .meta({ examples: ["65s"] })
      .describe("After how long a rest the application closes a connection: its keep-alive timeout (5s in Node).")
      .optional(),
    stopGrace: duration()
      .meta({ examples: ["60s"] })
      .describe(
        "How long an instance of the application has from SIGTERM to SIGKILL: `terminationGracePeriodSeconds` in Kubernetes, `TimeoutStopSec` in systemd, 10s in Docker.",
      )
      .optional(),
    state: text("the name of a store")
      .meta({ examples: ["redis"] })
      .describe(
        "Store that all instances share, in which the application keeps sessions and whatever else must outlive one of them. Without it, `check` says what `sticky` cannot do.",
      )
      .optional(),
  })
  .describe(`${what}: see [the timeout hierarchy](timeouts-hierarchy.md). It changes nothing else.`)
  .optional();

export const routeDeclaredSchema = z
  .strictObject(waits)
  .describe("What is otherwise on this route than in its pool's `declared`.")
  .optional();

/** What kills this program itself when it takes too long to stop. */
export const ownGraceSchema = duration()
  .meta({ examples: ["45s"] })
  .describe(
    "How long whatever stops this program waits before it kills it (Kubernetes: `terminationGracePeriodSeconds`, 30s unless set). Changes nothing: `check` proves that `lag` and `window` fit into it.",
  )
  .optional();

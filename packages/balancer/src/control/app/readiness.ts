// When a freshly started instance counts as ready: a pure judgement over what knocking at its port found.
import type { Knock } from "./host.ts";

/** With no path given, an instance that listens for this long without a good answer goes into rotation anyway. In ms. */
export const patience = 10_000;

/** What to do after a knock. */
export type Judgement =
  | { readonly kind: "wait" }
  | {
      readonly kind: "ready";
      readonly host: string;
      /** "" or what should be said about it. */ readonly doubt: string;
    };

const wait: Judgement = { kind: "wait" };

/**
 * Judges one knock. `listeningFor` is how long, in ms, the port has accepted connections without a break.
 *
 * With a path of its own the application decides, as for the balancer's probe: 200 to 299 is ready, all else is not yet. Without one, any answer below
 * 500 to GET / is: it shows that requests are served. A 5xx or silence may pass (a server that still compiles) or may be how
 * this application answers /, so after `patience` it is taken as it is, with a doubt.
 */
export function judgeKnock(knock: Knock, readyPath: string | null, listeningFor: number): Judgement {
  if (knock.kind === "refused") return wait;
  const limit = readyPath === null ? 500 : 300;
  if (knock.kind === "status" && knock.status >= 200 && knock.status < limit) {
    return { kind: "ready", host: knock.host, doubt: "" };
  }
  if (readyPath !== null || listeningFor < patience) return wait;
  const seen = knock.kind === "silent" ? "does not answer GET / within 2 s" : `answers ${knock.status} to GET /`;
  return { kind: "ready", host: knock.host, doubt: `it ${seen}; use --ready-path to name a path that tells the truth` };
}

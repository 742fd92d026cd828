// Whether an instance that was ready still lives: asked at a path of its own, and only whoever never answers it well again is
// given up. Pure; the manager asks and acts.
import type { Knock } from "./host.ts";

/** "" when it lives, else what was seen: "status 500", "no answer", "connection refused". */
export function lifeless(knock: Knock): string {
  if (knock.kind === "refused") return "connection refused";
  if (knock.kind === "silent") return "no answer";
  // Who answers 503 may be busy, and is told so by readiness; whoever set a path for liveness means its status all the same.
  return knock.status >= 200 && knock.status < 400 ? "" : `status ${knock.status}`;
}

// The redirect: where to, from a template. Nothing that a client sends can choose the host it points to, unless the
// template puts it there.
import { latin1 } from "../../base/bytes.ts";
import type { RoutePlan } from "../plan.ts";
import type { FixedAnswer } from "./fixed.ts";
import { compileLocation, type LocationRequest } from "./location.ts";

/** Makes the answer. `port` is the listener's. */
export type RedirectStep = (request: LocationRequest, scheme: string, port: number) => FixedAnswer;

const noBody = new Uint8Array(0);

/** Compiles a route's redirect; null if its action is another. */
export function compileRedirect(route: Pick<RoutePlan, "action" | "match">): RedirectStep | null {
  const { action, match } = route;
  if (action.kind !== "redirect") return null;
  const { status } = action;
  const location = compileLocation(action.to, match.path);
  return (request, scheme, port) => ({
    status,
    lines: latin1(`Location: ${location(request, scheme, port)}\r\n`),
    body: noBody,
  });
}

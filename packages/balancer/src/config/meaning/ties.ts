// Whether two routes of a listener could want the same request with the same right.
import { findTies } from "../../proxy/route/ties.ts";
import type { Meant } from "./meant.ts";
import { error, type Finding } from "../problem.ts";

export function checkTies({ plan }: Meant): Finding[] {
  return plan.listeners.flatMap((listener) =>
    findTies(listener.routes).map(({ a, b, why }) => {
      const [first, second] = a < b ? [a, b] : [b, a];
      const hint = "make one of them more specific, or remove it; the order in the file decides nothing";
      const routes = ["listeners", listener.name, "routes"];
      const message = `this route and {other} could both take a request: ${why}`;
      return { ...error([...routes, second], message, hint), other: [...routes, first] };
    }),
  );
}

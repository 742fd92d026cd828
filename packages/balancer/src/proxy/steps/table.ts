// The steps of a route in the order in which a request meets them. A new step is one file and one line here.
import type { RoutePlan } from "../plan.ts";
import { compileFixed } from "./fixed.ts";
import { compileHeaderEdits } from "./header-edits.ts";
import { compileRedirect } from "./redirect.ts";
import { compileRewrite } from "./rewrite.ts";
import { compileSplit } from "./split.ts";

/** One step: what it does, in words, and how it is compiled. null (or 0, or "") = the route has none, at no cost. */
interface Step<T> {
  readonly text: string;
  readonly compile: (route: RoutePlan) => T;
}

function step<T>(text: string, compile: (route: RoutePlan) => T): Step<T> {
  return { text, compile };
}

/** All steps, first to last. `compile` expects a validated plan and throws SyntaxError for a regex that is none. */
export const stepTable = {
  bodyLimit: step("refuses bodies that are too long", (route) => route.maxBodyBytes),
  fixed: step("answers by itself", (route) => compileFixed(route.action)),
  redirect: step("sends the client elsewhere", compileRedirect),
  split: step("picks one of several pools by weight", (route) =>
    route.action.kind === "split" ? compileSplit(route.action.parts) : null,
  ),
  rewrite: step("changes the path that goes upstream", (route) => compileRewrite(route.rewrite)),
  requestEdits: step("changes the header fields of the request", (route) => compileHeaderEdits(route.requestHeaders)),
  mirror: step("copies the request to a second pool", (route) => route.mirror),
  answerEdits: step("changes the header fields of the answer", (route) => compileHeaderEdits(route.answerHeaders)),
};

type StepTable = typeof stepTable;

/** The compiled steps of one route, by their names in the table. */
export type RouteSteps = { readonly [Name in keyof StepTable]: ReturnType<StepTable[Name]["compile"]> };

/** Compiles every step of a route. */
export function compileSteps(route: RoutePlan): RouteSteps {
  const compiled = Object.entries(stepTable).map(([name, { compile }]) => [name, compile(route)]);
  return Object.fromEntries(compiled) as RouteSteps;
}

// What a change of configuration changes, in words for the operator: told by `plimsoll reload` and in the log.
import type { EnginePlan } from "../proxy/assemble.ts";
import { hostPort } from "./status.ts";

/** One line each, such as "pool api: endpoint 127.0.0.1:3002 added"; empty when nothing changed. */
export function describeChanges(from: EnginePlan, to: EnginePlan): string[] {
  const lines: string[] = [];
  compareNamed("listener", from.listeners, to.listeners, lines, (before, after) => {
    const { routes: _before, slot: _a, ...listenerBefore } = before;
    const { routes: _after, slot: _b, ...listenerAfter } = after;
    const name = `listener ${after.name}`;
    const address = ({ address: { host, port } }: typeof before) => hostPort(host, port);
    if (address(before) !== address(after)) lines.push(`${name}: moved from ${address(before)} to ${address(after)}`);
    else if (!same(withoutPems(listenerBefore), withoutPems(listenerAfter))) lines.push(`${name}: settings changed`);
    else if (!same(listenerBefore, listenerAfter)) lines.push(`${name}: certificates changed`);
    compareNamed(`${name}: route`, before.routes, after.routes, lines, (_, { name: route }) => {
      lines.push(`${name}: route ${route} changed`);
    });
  });
  compareNamed("pool", from.pools, to.pools, lines, (before, after) => {
    const name = `pool ${after.name}`;
    const { endpoints: endpointsBefore, ...poolBefore } = before;
    const { endpoints: endpointsAfter, ...poolAfter } = after;
    if (!same(withoutPems(poolBefore), withoutPems(poolAfter))) lines.push(`${name}: settings changed`);
    else if (!same(poolBefore, poolAfter)) lines.push(`${name}: certificates changed`);
    const named = (endpoints: typeof endpointsBefore) => endpoints.map((each) => ({ ...each, name: each.id }));
    compareNamed(`${name}: endpoint`, named(endpointsBefore), named(endpointsAfter), lines, (_, { name: id }) => {
      lines.push(`${name}: endpoint ${id} changed`);
    });
  });
  const open = ({ challenges = [], proofs = [] }: EnginePlan) => [...challenges, ...proofs];
  const [before, after] = [open(from), open(to)];
  if (!same(before, after)) lines.push(`acme: ${after.length === 0 ? "no challenge is" : "challenges are"} answered`);
  return lines;
}

function compareNamed<T extends { readonly name: string }>(
  what: string,
  before: readonly T[],
  after: readonly T[],
  lines: string[],
  changed: (before: T, after: T) => void,
): void {
  const old = new Map(before.map((one) => [one.name, one]));
  for (const one of after) {
    const known = old.get(one.name);
    if (known === undefined) lines.push(`${what} ${one.name} added`);
    else if (!same(known, one)) changed(known, one);
    old.delete(one.name);
  }
  for (const name of old.keys()) lines.push(`${what} ${name} removed`);
}

/** Plans are plain data that survives JSON, made by one piece of code: equal ones have equal texts. */
function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** What is left when what was read from certificates' files is taken out. */
function withoutPems(plan: object): unknown {
  return JSON.parse(JSON.stringify(plan), (key, value: unknown) =>
    key === "names" || (typeof value === "string" && value.includes("-----BEGIN ")) ? "" : value,
  ) as unknown;
}

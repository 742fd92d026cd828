// Whether every pool that is named exists, and every one that exists is named.
import type { Meant } from "./meant.ts";
import { nearest } from "../nearest.ts";
import { error, warning, type Finding, type Path } from "../problem.ts";

export function checkReferences({ config, poolNames }: Meant): Finding[] {
  const findings: Finding[] = [];
  const used = new Set<string>();
  const refer = (pool: string | undefined, path: Path): void => {
    if (pool === undefined) return;
    used.add(pool);
    if (!poolNames.includes(pool)) findings.push(error(path, `there is no pool "${pool}"`, suggest(pool, poolNames)));
  };
  for (const [name, listener] of Object.entries(config.listeners)) {
    for (const [index, route] of listener.routes.entries()) {
      const path = ["listeners", name, "routes", index];
      refer(route.pool, [...path, "pool"]);
      refer(route.mirror, [...path, "mirror"]);
      for (const [part, { pool }] of (route.split ?? []).entries()) refer(pool, [...path, "split", part, "pool"]);
    }
  }
  for (const pool of Object.keys(config.pools)) {
    if (used.has(pool)) continue;
    findings.push({
      ...warning(["pools", pool], "no route leads to this pool", `add a route with pool: ${pool}, or remove it`),
      atKey: true,
    });
  }
  return findings;
}

function suggest(pool: string, known: readonly string[]): string {
  const near = nearest(pool, known);
  if (near !== undefined) return `did you mean "${near}"?`;
  return known.length === 0
    ? `add it: pools: { ${pool}: { endpoints: [...] } }`
    : `the pools are ${known.slice(0, 10).join(", ")}`;
}

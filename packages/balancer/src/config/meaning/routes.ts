// Whether the parts of one route fit together: one action, and only what has an effect with it.
import { formatSize } from "../../base/units.ts";
import type { Meant } from "./meant.ts";
import { error, warning, type Finding, type Path } from "../problem.ts";
import { slowRegex } from "../regex-guard.ts";
import type { ListenerConfig } from "../schema/listeners.ts";
import type { RouteConfig } from "../schema/routes.ts";

export function checkRoutes({ config }: Meant): Finding[] {
  return Object.entries(config.listeners).flatMap(([name, listener]) => {
    const path = ["listeners", name];
    return [
      ...checkLimits(listener, path),
      ...checkNames(listener, path),
      ...listener.routes.flatMap((route, index) => checkRoute(route, [...path, "routes", index])),
    ];
  });
}

function checkLimits({ limits }: ListenerConfig, path: Path): Finding[] {
  return (["targetBytes", "fieldBytes"] as const)
    .filter((key) => (limits[key] ?? 0) > limits.headBytes)
    .map((key) =>
      error(
        [...path, "limits", key],
        `one part cannot be larger than the whole head (headBytes: ${formatSize(limits.headBytes)})`,
        "raise headBytes, or lower this",
      ),
    );
}

function checkNames({ routes }: ListenerConfig, path: Path): Finding[] {
  const seen = new Set<string>();
  return routes.flatMap(({ name }, index) => {
    if (name === undefined || (!seen.has(name) && seen.add(name))) return [];
    return [
      error(
        [...path, "routes", index, "name"],
        `two routes of this listener are called ${name}`,
        "logs and metrics could not tell them apart; rename one",
      ),
    ];
  });
}

const actions = ["pool", "split", "redirect", "respond"] as const;

/** Settings of a forwarded request, which mean nothing where nothing is forwarded. */
const forwarding = ["rewrite", "mirror", "maxBodyBytes", "timeouts", "retry"] as const;

function checkRoute(route: RouteConfig, path: Path): Finding[] {
  const chosen = actions.filter((action) => route[action] !== undefined);
  const findings: Finding[] = [];
  if (chosen.length === 0) {
    findings.push(error(path, "this route does nothing", "give it one of pool, split, redirect or respond"));
  } else if (chosen.length > 1) {
    findings.push(
      error(
        [...path, chosen[1] ?? ""],
        `a route does one thing, and this one has ${chosen.join(" and ")}`,
        "keep one, or make two routes of it",
      ),
    );
  }
  if (chosen.length > 0 && route.pool === undefined && route.split === undefined) {
    for (const key of forwarding) {
      if (route[key] === undefined) continue;
      findings.push(
        error(
          [...path, key],
          `"${key}" has no effect where nothing is forwarded`,
          `remove ${key}, or forward to a pool`,
        ),
      );
    }
    if (route.headers?.request !== undefined) {
      findings.push(
        error(
          [...path, "headers", "request"],
          "no request goes anywhere from here, so there are no fields to edit",
          "remove it, or forward to a pool",
        ),
      );
    }
  }
  return [
    ...findings,
    ...checkSplit(route, path),
    ...checkRewrite(route, path),
    ...checkRedirect(route, path),
    ...checkRegexes(route, path),
  ];
}

function checkSplit({ split, mirror, pool }: RouteConfig, path: Path): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const [index, part] of (split ?? []).entries()) {
    if (seen.has(part.pool))
      findings.push(
        error(
          [...path, "split", index, "pool"],
          `the pool ${part.pool} is in this split already`,
          "add the two weights up",
        ),
      );
    seen.add(part.pool);
  }
  if (split !== undefined && split.every(({ weight }) => weight === 0)) {
    findings.push(
      error(
        [...path, "split"],
        "every part has weight 0: no request could go anywhere",
        "give at least one a weight above 0",
      ),
    );
  }
  if (mirror !== undefined && mirror === pool) {
    findings.push(warning([...path, "mirror"], "every request would go to this pool twice", "mirror to another pool"));
  }
  return findings;
}

function checkRewrite({ rewrite, match }: RouteConfig, path: Path): Finding[] {
  if (rewrite === undefined) return [];
  const at = [...path, "rewrite"];
  const { prefix, regex, to } = rewrite;
  if (prefix !== undefined && (regex !== undefined || to !== undefined)) {
    return [error(at, "a rewrite has either `prefix`, or `regex` with `to`", "keep one of the two")];
  }
  if (prefix === undefined && (regex === undefined || to === undefined)) {
    return [error(at, "the rewrite is not complete", "write { prefix: /new }, or { regex: ^/old/(.*)$, to: /new/$1 }")];
  }
  const kind = match?.path?.kind ?? "any";
  if (prefix !== undefined && (kind === "exact" || kind === "regex")) {
    return [
      error(
        [...at, "prefix"],
        "there is no matched prefix to replace",
        "match a path such as /old/*, or rewrite with regex and to",
      ),
    ];
  }
  return [];
}

function checkRedirect({ redirect, match }: RouteConfig, path: Path): Finding[] {
  if (redirect === undefined) return [];
  const at = [...path, "redirect", "to"];
  const kind = match?.path?.kind ?? "any";
  const { to } = redirect;
  if (to.indexOf("*") !== to.lastIndexOf("*"))
    return [error(at, "there is one * in the match, and several in the target", "keep one")];
  if (to.includes("*") && (kind === "exact" || kind === "regex")) {
    return [error(at, "the * has nothing to take over", "match a path such as /old/*, or write the target without *")];
  }
  if (/\$\d/.test(to) && kind !== "regex") {
    return [
      error(at, "$1 is a group of a regex, and the path is not matched by one", "match a path such as ~^/old/([^/]+)$"),
    ];
  }
  const unknown = [...to.matchAll(/\{([^{}]*)\}/g)]
    .map(([, name]) => name ?? "")
    .find((name) => !redirectNames.has(name));
  if (unknown !== undefined)
    return [
      error(
        at,
        `there is no {${unknown}}`,
        `the names are ${[...redirectNames].map((name) => `{${name}}`).join(", ")}`,
      ),
    ];
  const loops = match?.path?.kind === "exact" && match.path.path === to;
  return loops
    ? [error(at, "the redirect leads back to where it began", "browsers would go in a circle; change the target")]
    : [];
}

const redirectNames = new Set(["scheme", "host", "port", "path", "query"]);

function checkRegexes({ match, rewrite }: RouteConfig, path: Path): Finding[] {
  const sources: [Path, string][] = [];
  if (match?.path?.kind === "regex") sources.push([["match", "path"], match.path.source]);
  for (const part of ["headers", "query", "cookies"] as const) {
    for (const [name, value] of Object.entries(match?.[part] ?? {}))
      if (value.kind === "regex") sources.push([["match", part, name], value.source]);
  }
  if (rewrite?.regex !== undefined) sources.push([["rewrite", "regex"], rewrite.regex]);
  return sources.flatMap(([at, source]) => {
    const slow = slowRegex(source);
    return slow === null
      ? []
      : [
          warning(
            [...path, ...at],
            `this may be slow on purpose-made requests: ${slow}`,
            "rewrite it without a repetition inside a repetition",
          ),
        ];
  });
}

// Settings that are accepted ahead of their time. None is ignored in silence: those without which the program would do
// something else than was asked are errors, those that only make it better are warnings.
import { formatPath, type Finding, type Path } from "./problem.ts";
import { configSchema } from "./schema/config.ts";
import { view, type SchemaView } from "./schema/walk.ts";

/** Findings for every such setting in what was written, whatever else is wrong with it. */
export function findUnavailable(value: unknown): Finding[] {
  const findings: Finding[] = [];
  search(configSchema, value, [], findings);
  return findings;
}

function search(schema: Parameters<typeof view>[0], value: unknown, path: Path, findings: Finding[]): void {
  if (value === undefined || value === null) return;
  const seen = view(schema);
  const later = seen.notYet;
  if (later !== undefined && !(typeof value === "string" && later.except?.includes(value) === true)) {
    findings.push(unavailable(later, value, path));
    return;
  }
  const { shape } = seen;
  if (shape.kind === "list" && Array.isArray(value)) {
    for (const [index, item] of value.entries()) search(shape.item, item, [...path, index], findings);
  } else if (shape.kind === "map" && typeof value === "object") {
    for (const [key, inner] of Object.entries(shape.keys))
      search(inner, (value as Record<string, unknown>)[key], [...path, key], findings);
  } else if (shape.kind === "record" && typeof value === "object") {
    for (const [key, inner] of Object.entries(value)) search(shape.value, inner, [...path, key], findings);
  }
}

function unavailable(later: NonNullable<SchemaView["notYet"]>, value: unknown, path: Path): Finding {
  const key = String(path.at(-1));
  const what = later.except === undefined || typeof value !== "string" ? key : `${key}: ${value}`;
  const effect = later.severity === "warning" ? " and has no effect" : "";
  const hint =
    later.severity === "error"
      ? `remove ${formatPath(path)}${later.except === undefined ? "" : `, or write ${later.except.join(", ")}`}`
      : undefined;
  return {
    severity: later.severity,
    path,
    atKey: true,
    message: `"${what}" is not available yet${effect}; one day ${later.will}`,
    hint,
  };
}

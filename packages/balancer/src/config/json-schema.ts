// The JSON Schema of a configuration, for editors. It describes what may be written: short forms, references to the
// environment, and keys that are not available yet (as deprecated, which editors strike through).
import { z } from "zod";
import { configSchema } from "./schema/config.ts";
import { view } from "./schema/walk.ts";

type Json = Record<string, unknown>;

/** A value that comes from the environment as a whole; what it holds is checked when it is read. */
const fromEnvironment = { type: "string", pattern: "^\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}$" };

/** Text of packages/balancer/schema/plimsoll.schema.json. */
export function renderJsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, {
    io: "input",
    reused: "inline",
    override: ({ zodSchema, jsonSchema }) => {
      const seen = view(zodSchema);
      if (seen.notYet !== undefined && seen.notYet.except === undefined) {
        jsonSchema.deprecated = true;
        jsonSchema.description = `Not available yet. ${jsonSchema.description ?? ""}`.trim();
      }
      // A record's keys are checked by the program, which can say why; editors only need to know that any are allowed.
      delete jsonSchema.propertyNames;
    },
  }) as Json;
  const { $schema, ...rest } = withAlternatives(configSchema, schema);
  const root = rest as { properties: Json };
  const document = {
    $schema,
    title: "Plimsoll configuration",
    ...root,
    // Anchors need a place to stand.
    patternProperties: { "^x-": {} },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Adds what else may be written in each place: short forms, single items, references to the environment. */
function withAlternatives(schema: z.core.$ZodType, plain: Json): Json {
  const seen = view(schema);
  // The library leaves these out wherever a value is parsed further, as nearly all are here.
  const json = { ...plain };
  if (seen.examples.length > 0) json["examples"] = seen.examples;
  if (seen.defaultInput !== undefined) json["default"] = seen.defaultInput;
  const { shape } = seen;
  let out = json;
  if (shape.kind === "map") {
    const properties = json["properties"] as Record<string, Json>;
    const changed = Object.entries(properties).map(([key, inner]) => [
      key,
      withAlternatives(shape.keys[key] ?? configSchema, inner),
    ]);
    out = { ...json, properties: Object.fromEntries(changed) as Json };
  } else if (shape.kind === "record") {
    out = { ...json, additionalProperties: withAlternatives(shape.value, json["additionalProperties"] as Json) };
  } else if (shape.kind === "list") {
    out = { ...json, items: withAlternatives(shape.item, json["items"] as Json) };
  } else if (json["type"] !== "string" || "enum" in json) {
    return eitherOf(json, fromEnvironment);
  }
  if (seen.single && shape.kind === "list") out = eitherOf(out, out["items"] as Json);
  if (seen.short !== undefined) {
    const short =
      "json" in seen.short ? { ...seen.short.json } : (out["properties"] as Record<string, Json>)[seen.short.key];
    out = eitherOf(out, bare(short ?? {}));
  }
  return out;
}

/** One or the other; what describes the whole stays outside. */
function eitherOf(json: Json, other: Json): Json {
  const { description, default: fallback, examples, deprecated, $schema, ...constraint } = json;
  const told = { $schema, description, default: fallback, examples, deprecated };
  return {
    ...Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)),
    anyOf: [constraint, other],
  };
}

/** A short form's own words would repeat those of the long form. */
function bare(json: Json): Json {
  const { default: _fallback, examples: _examples, ...rest } = json;
  return rest;
}

// What the environment gives is text. Where the schema wants a number or a flag, it is read as one: quotes cannot decide,
// because within { } YAML demands them around ${NAME}.
import type { z } from "zod";
import type { Path } from "./problem.ts";
import { configSchema } from "./schema/config.ts";
import { schemaAt, view } from "./schema/walk.ts";

/** A copy of the value in which texts at the given paths are numbers and flags where those are wanted and given. */
export function readAsWanted(value: unknown, paths: Iterable<Path>): unknown {
  let out = value;
  for (const path of paths) {
    const schema = schemaAt(configSchema, path);
    if (schema !== undefined && wantsMore(schema)) out = replaced(out, path);
  }
  return out;
}

/** Whether something else than a text may stand here, also as a short form. */
function wantsMore(schema: z.core.$ZodType): boolean {
  const { shape, short } = view(schema);
  if (shape.kind === "map") {
    const inner = short !== undefined && "key" in short ? shape.keys[short.key] : undefined;
    return inner !== undefined && wantsMore(inner);
  }
  if (shape.kind !== "leaf") return false;
  const { type } = (shape.schema as z.core.$ZodTypes)._zod.def;
  return type === "number" || type === "boolean" || type === "literal" || type === "union";
}

function replaced(value: unknown, path: Path): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return typeof value === "string" ? readPlain(value) : value;
  if (Array.isArray(value)) return value.with(Number(part), replaced(value[Number(part)], rest));
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return value;
  return { ...value, [part]: replaced((value as Record<string | number, unknown>)[part], rest) };
}

/** Numbers and flags of the YAML 1.2 core schema (§10.3.2), without octal and hexadecimal: nobody means them. */
function readPlain(text: string): unknown {
  if (/^(true|True|TRUE)$/.test(text)) return true;
  if (/^(false|False|FALSE)$/.test(text)) return false;
  return /^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/.test(text) ? Number(text) : text;
}

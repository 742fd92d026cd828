// Reads a schema as a tree of keys, looking through its wrappers: for messages, documents and editors.
import { z } from "zod";
import { leafFacts, manyForms, notYet, shortForms, type LeafFacts, type NotYet } from "./leaf.ts";

type Schema = z.core.$ZodType;

/** What a schema is, under its wrappers. */
export type Shape =
  | { readonly kind: "map"; readonly keys: Readonly<Record<string, Schema>> }
  | { readonly kind: "record"; readonly value: Schema }
  | { readonly kind: "list"; readonly item: Schema }
  | { readonly kind: "leaf"; readonly schema: Schema };

/** All that wrappers and registries say of one key. */
export interface SchemaView {
  readonly shape: Shape;
  readonly description: string;
  readonly examples: readonly unknown[];
  /** What stands there when the key is left out, as it would be written. */
  readonly defaultInput: unknown;
  readonly required: boolean;
  readonly facts: LeafFacts | undefined;
  readonly notYet: NotYet | undefined;
  readonly short: { readonly key: string } | { readonly json: Readonly<Record<string, unknown>> } | undefined;
  /** Whether a list may be written as its only item. */
  readonly single: boolean;
}

export function view(schema: Schema): SchemaView {
  let description = "";
  let examples: readonly unknown[] = [];
  let defaultInput: unknown;
  let required = true;
  let facts: LeafFacts | undefined;
  let later: NotYet | undefined;
  let short: SchemaView["short"];
  let single = false;
  let current: Schema = schema;
  for (;;) {
    const meta = z.globalRegistry.get(current);
    description ||= typeof meta?.description === "string" ? meta.description : "";
    if (examples.length === 0 && Array.isArray(meta?.["examples"])) examples = meta["examples"];
    facts ??= leafFacts.get(current as z.ZodType);
    later ??= notYet.get(current as z.ZodType);
    short ??= shortForms.get(current as z.ZodType);
    single ||= manyForms.get(current as z.ZodType) !== undefined;
    const { def } = (current as z.core.$ZodTypes)._zod;
    if (def.type === "optional" || def.type === "default" || def.type === "prefault") {
      required = false;
      if (def.type !== "optional") defaultInput ??= def.defaultValue;
      current = def.innerType;
    } else if (def.type === "pipe") {
      current = (def.in as z.core.$ZodTypes)._zod.def.type === "transform" ? def.out : def.in;
    } else {
      const shape = shapeOf(current, def);
      return { shape, description, examples, defaultInput, required, facts, notYet: later, short, single };
    }
  }
}

function shapeOf(schema: Schema, def: z.core.$ZodTypes["_zod"]["def"]): Shape {
  if (def.type === "object") return { kind: "map", keys: def.shape };
  if (def.type === "record") return { kind: "record", value: def.valueType };
  if (def.type === "array") return { kind: "list", item: def.element };
  return { kind: "leaf", schema };
}

/** The schema of what stands at a path, or undefined if the path leads nowhere. */
export function schemaAt(root: Schema, path: readonly PropertyKey[]): Schema | undefined {
  let current: Schema | undefined = root;
  for (const part of path) {
    if (current === undefined) return undefined;
    const { shape } = view(current);
    if (shape.kind === "map") current = Object.hasOwn(shape.keys, part) ? shape.keys[String(part)] : undefined;
    else if (shape.kind === "record") current = shape.value;
    else if (shape.kind === "list") current = shape.item;
    else return undefined;
  }
  return current;
}

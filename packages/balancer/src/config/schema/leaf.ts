// The leaves that every area of the schema is built from. Each knows its own name, grammar and way out, so that a wrong
// value is refused in the same words everywhere. One schema serves types, defaults, checks, documents and editors.
import { z } from "zod";
import { formatSize, parseDuration, parseShare, parseSize, type Misread } from "../../base/units.ts";

/** What documents and messages say of a leaf. */
export interface LeafFacts {
  /** With its article: "a duration". */
  readonly noun: string;
  /** What to write, for when the value itself must not be shown or is of another type. */
  readonly hint: string;
}

/** Facts by schema; wrappers (`prefault`, `optional`) are looked through by `walk.ts`. */
export const leafFacts = z.registry<LeafFacts>();

/** What a leaf's custom issue carries. */
export interface LeafIssue {
  readonly reason: string;
  readonly hint: string;
}

/** A text with a grammar. `parse` gives the value or why there is none. */
export function written<T>(facts: LeafFacts, parse: (text: string) => T) {
  const schema = z.string().transform((text, context): Exclude<T, Misread> => {
    const value = parse(text);
    if (!isMisread(value)) return value as Exclude<T, Misread>;
    const params: LeafIssue = { reason: value.reason, hint: value.hint };
    context.addIssue({ code: "custom", message: value.reason, params: { ...params } });
    return z.NEVER;
  });
  return schema.register(leafFacts, facts);
}

function isMisread(value: unknown): value is Misread {
  return typeof value === "object" && value !== null && "reason" in value && "hint" in value;
}

/** A duration, in milliseconds from then on. Zero is refused unless `zero` says what it means. */
export function duration(options: { readonly zero?: true; readonly most?: number } = {}) {
  const facts = { noun: "a duration", hint: "write a number and a unit: 250ms, 30s, 1h30m" };
  return written(facts, (text) => {
    const ms = parseDuration(text);
    if (ms === 0 && options.zero === undefined)
      return {
        reason: "it must be longer than nothing",
        hint: 'there is no "never" here; write a long time, such as 1d',
      };
    return ms;
  }).meta({ pattern: "^(\\$\\{.*|(\\d+(\\.\\d+)?(d|h|m|s|ms))+)$" });
}

/** A size, in bytes from then on. */
export function size(least: number, most: number) {
  return written({ noun: "a size", hint: "write a number and a unit: 512B, 16KiB, 1MB" }, (text) => {
    const bytes = parseSize(text);
    if (typeof bytes !== "number" || (bytes >= least && bytes <= most)) return bytes;
    const wrong = bytes < least ? "small" : "large";
    return { reason: `it is too ${wrong}`, hint: `write a size from ${formatSize(least)} to ${formatSize(most)}` };
  }).meta({ pattern: "^(\\$\\{.*|\\d+(\\.\\d+)?([KMGT]i?)?B)$" });
}

/** A share from 0 to 1, written in percent. */
export function share() {
  return written({ noun: "a percentage", hint: "write 20% or 12.5%" }, parseShare).meta({
    pattern: "^(\\$\\{.*|\\d+(\\.\\d+)?%)$",
  });
}

/** A whole number within bounds. */
export function integer(least: number, most: number) {
  return z
    .number()
    .int()
    .min(least)
    .max(most)
    .register(leafFacts, { noun: "a whole number", hint: `write a whole number from ${least} to ${most}` });
}

/** One of some words. */
export function oneOf<const T extends readonly [string, ...string[]]>(words: T) {
  return z
    .enum(words)
    .register(leafFacts, { noun: `one of ${words.join(", ")}`, hint: `write one of ${words.join(", ")}` });
}

export function flag() {
  return z.boolean().register(leafFacts, { noun: "true or false", hint: "write true or false" });
}

/** Any text that is not empty. */
export function text(noun = "a text") {
  return written(
    { noun, hint: "write a text; digits, true and false need quotes to be one" },
    (value): string | Misread =>
      value === "" ? { reason: "it is empty", hint: "remove the key, or give it a value" } : value,
  );
}

/** Values that may be written instead of a map: their JSON Schema, or the key of the map that they stand for. */
export const shortForms = z.registry<{ readonly key: string } | { readonly json: Readonly<Record<string, unknown>> }>();

/** An object that may be written as one value: `127.0.0.1:3001` for `{ address: 127.0.0.1:3001 }`. */
export function shorthand<T extends z.ZodObject>(key: keyof z.input<T> & string, full: T) {
  const schema = z.preprocess(
    (value): unknown => (typeof value === "object" && value !== null ? value : { [key]: value }),
    full,
  ) as unknown as z.ZodType<z.output<T>, z.input<T> | NonNullable<z.input<T>[keyof z.input<T>]>>;
  return schema.register(shortForms, { key });
}

/** A list that may be written as its only item. */
export function oneOrMany<T extends z.ZodType>(item: T, least = 0) {
  const schema = z.preprocess(
    (value): unknown => (Array.isArray(value) || value === undefined ? value : [value]),
    least === 0 ? z.array(item) : z.array(item).min(least),
  ) as unknown as z.ZodType<z.output<T>[], z.input<T> | z.input<T>[]>;
  return schema.register(manyForms, { single: true });
}

/**
 * A map by names of header fields, which are the same in any case: none may be lost because it stands there twice. `refuse` says
 * what is wrong with the value of one name, given in lower case.
 */
export function fieldMap<K extends z.core.$ZodRecordKey, V extends z.ZodType>(
  name: K,
  value: V,
  refuse: (name: string, value: string) => Misread | null = () => null,
) {
  const schema = z.preprocess(
    (fields, context): unknown => {
      const seen = new Map<string, string>();
      for (const key of typeof fields === "object" && fields !== null ? Object.keys(fields) : []) {
        const first = seen.get(key.toLowerCase());
        if (first === undefined) seen.set(key.toLowerCase(), key);
        else {
          const params: LeafIssue = {
            reason: `the field stands here already, as ${first}`,
            hint: "keep one of the two",
          };
          context.addIssue({ code: "custom", message: params.reason, path: [key], params: { ...params, key: true } });
        }
        const text = (fields as Record<string, unknown>)[key];
        const params = typeof text === "string" ? refuse(key.toLowerCase(), text) : null;
        if (params !== null)
          context.addIssue({ code: "custom", message: params.reason, path: [key], params: { ...params } });
      }
      return fields;
    },
    z.record(name, value),
  );
  type Fields = z.ZodRecord<K, V>;
  return schema as unknown as z.ZodType<z.output<Fields>, z.input<Fields>>;
}

/** Lists that accept a single item without brackets. */
export const manyForms = z.registry<{ readonly single: true }>();

/** What an accepted setting will do one day: read by `not-yet.ts`, documents and editors. */
export interface NotYet {
  /** error: ignoring it would change meaning or safety. warning: the program behaves as if it were not there. */
  readonly severity: "error" | "warning";
  /** What is meant to be, completing "... is not available yet: ". */
  readonly will: string;
  /** Words that are available already, for a setting of which only some are not. */
  readonly except?: readonly string[];
}

export const notYet = z.registry<NotYet>();

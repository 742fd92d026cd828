// Whether a shared cache may store an answer and hand it to others. A cookie in such an answer would send everybody who is
// served from the cache to one endpoint.
import { type AnswerHead, Field, type Fields } from "@plimsoll/wire/http1";
import { spells, text } from "../base/bytes.ts";

/** Fields that speak to shared caches alone, and go before Cache-Control there (RFC 9213). */
const forSharedCaches = ["cdn-cache-control", "surrogate-control"] as const;

const Says = { nothing: 0, keep: 1, doNotKeep: 2 } as const;

/**
 * True when the answer says, by whichever field, that it stays fresh for a while or may be stored by everybody, and not that
 * it is private. A 304 without a word is taken for one: a cache would put its fields into what it has stored.
 */
export function isCacheable(bytes: Uint8Array, head: AnswerHead, wallNow: number): boolean {
  const { fields, status } = head;
  for (const name of forSharedCaches) {
    const said = judge(valueOf(bytes, fields, name));
    if (said !== Says.nothing) return said === Says.keep;
  }
  let control = "";
  for (let i = 0; i < fields.count; i++)
    if (fields.ids[i] === Field.cacheControl) control += `${value(bytes, fields, i)},`;
  const said = judge(control);
  if (said !== Says.nothing) return said === Says.keep;
  return status === 304 || Date.parse(valueOf(bytes, fields, "expires")) > wallNow;
}

/** RFC 9111 §5.2.2. Arguments of `private` and `no-cache` name fields; then they say nothing of the rest of the answer. */
function judge(control: string): number {
  const bare = control.toLowerCase().replaceAll(/"[^"]*"/g, (quoted) => quoted.replaceAll(/[",]/g, ""));
  const directives = bare.split(",").map((one) => one.trim());
  if (directives.some((one) => one === "private" || one === "no-store" || one === "no-cache")) return Says.doNotKeep;
  let said: number = Says.nothing;
  for (const directive of directives) {
    if (directive === "public" || directive === "immutable") return Says.keep;
    const age = /^(?:s-maxage|max-age)\s*=\s*0*([1-9]\d*)?/.exec(directive);
    if (age === null) continue;
    if (age[1] !== undefined) return Says.keep;
    // What is stale at once, and is nowhere said to be public, is not kept for anybody.
    said = Says.doNotKeep;
  }
  return said;
}

function valueOf(bytes: Uint8Array, fields: Fields, lowerName: string): string {
  const { at, count } = fields;
  for (let i = 0; i < count; i++) {
    if (spells(bytes, at[i * 4]!, at[i * 4 + 1]!, lowerName)) return value(bytes, fields, i);
  }
  return "";
}

function value(bytes: Uint8Array, { at }: Fields, index: number): string {
  return text(bytes, at[index * 4 + 2]!, at[index * 4 + 3]!);
}

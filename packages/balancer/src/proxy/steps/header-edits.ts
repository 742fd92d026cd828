// Header edits of a route: which fields do not pass, and which lines are put behind those that do. Lines without
// placeholders are bytes from the start; the rest is filled in once per request.
import type { Fields } from "@plimsoll/wire/http1";
import { fieldHash, hashName } from "@plimsoll/wire/http1";
import { copyBytes, copyOf, latin1, spells } from "../../base/bytes.ts";
import type { HeaderEditsPlan } from "../plan.ts";
import { type FixedAnswer, oneLine } from "./fixed.ts";

/** Names that may stand in braces in a header value. */
export const headerPlaceholders = ["client", "host", "requestId", "scheme"] as const;
type Placeholder = (typeof headerPlaceholders)[number];

/** Bytes to copy, or something of the request to fill in. */
type Part = Uint8Array | Placeholder;

/** Longest request id that is filled in; the exchange takes none that is longer. */
const longestId = 128;
const nothing = new Uint8Array(0);
const token = new RegExp(`\\{(${headerPlaceholders.join("|")})\\}`);

/** Which names do not pass. */
class Removal {
  readonly #hashes: Int32Array;
  readonly #names: readonly string[];
  /** One bit for each hash's low five bits: most fields are told apart by one AND. */
  readonly #mask: number;

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#hashes = Int32Array.from(names, hashName);
    this.#mask = this.#hashes.reduce((mask, hash) => mask | (1 << (hash & 31)), 0);
  }

  has(bytes: Uint8Array, from: number, to: number, hash: number): boolean {
    if ((this.#mask & (1 << (hash & 31))) === 0) return false;
    const hashes = this.#hashes;
    for (let i = 0; i < hashes.length; i++) {
      if (hashes[i] === hash && spells(bytes, from, to, this.#names[i]!)) return true;
    }
    return false;
  }

  hasName(name: string): boolean {
    return this.#names.includes(name.toLowerCase());
  }

  /** Walks the lines as bytes, because this is done for each request; copies only where something is dropped. */
  passing(lines: Uint8Array): Uint8Array {
    let kept: Uint8Array | null = null;
    let keptTo = 0;
    for (let from = 0; from < lines.length;) {
      const colon = lines.indexOf(0x3a, from);
      const to = lines.indexOf(0x0a, from) + 1;
      if (colon < 0 || to === 0) break;
      if (this.has(lines, from, colon, fieldHash(lines, from, colon))) {
        if (kept === null) {
          // They are everybody's: the next request's, and of our own answers all requests'.
          kept = copyOf(lines, 0, lines.length);
          keptTo = from;
        }
      } else if (kept !== null) {
        keptTo = copyBytes(kept, keptTo, lines, from, to);
      }
      from = to;
    }
    return kept === null ? lines : kept.subarray(0, keptTo);
  }
}

/** The edits of one route in one direction. What they do never changes, so all requests of the route share them. */
export class HeaderEdits {
  /** Most bytes that `write` will add, once prepared. */
  readonly room: number;
  /** Whether X-Request-Id is the operator's affair: then we write none. */
  readonly ownsRequestId: boolean;
  /** Whether Host is the operator's. */
  readonly ownsHost: boolean;
  readonly #removal: Removal;
  readonly #parts: readonly Part[];
  /** Whether something but a request id is still to be filled in. */
  readonly #open: boolean;
  readonly #wantsId: boolean;

  constructor(removal: Removal, parts: readonly Part[]) {
    this.#removal = removal;
    this.ownsRequestId = removal.hasName("x-request-id");
    this.ownsHost = removal.hasName("host");
    this.#parts = parts;
    this.#open = parts.some((part) => typeof part === "string" && part !== "requestId");
    this.#wantsId = parts.includes("requestId");
    this.room = parts.reduce((sum, part) => sum + (typeof part === "string" ? longestId : part.length), 0);
  }

  /** Whether field `index` of a parsed head must not pass: it is removed, or set anew. */
  removes(bytes: Uint8Array, fields: Fields, index: number): boolean {
    const { at } = fields;
    return this.#removal.has(bytes, at[index * 4]!, at[index * 4 + 1]!, fields.hashes[index]!);
  }

  /**
   * The edits with everything known filled in; themselves where there is nothing to fill in. The result belongs to one
   * request. Without `requestId`, that is left for `write`.
   */
  prepare(request: { host(): string }, scheme: string, client: string, requestId: string | null = null): HeaderEdits {
    if (!this.#open && (requestId === null || !this.#wantsId)) return this;
    const values = { client, host: request.host(), scheme, requestId };
    const filled = this.#parts.map((part) => {
      const value = typeof part === "string" ? values[part] : null;
      return value === null ? part : latin1(oneLine(value));
    });
    return new HeaderEdits(this.#removal, filled);
  }

  /**
   * Writes the new lines at `at`, where there is `room`; returns the position after them. Bytes [idFrom, idTo) of `id` are
   * the request id. What is not prepared is left empty.
   */
  write(to: Uint8Array, at: number, id: Uint8Array = nothing, idFrom = 0, idTo = 0): number {
    const parts = this.#parts;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!;
      if (typeof part !== "string") at = copyBytes(to, at, part, 0, part.length);
      else if (part === "requestId" && idTo - idFrom <= longestId) at = copyBytes(to, at, id, idFrom, idTo);
    }
    return at;
  }

  /** Those of our own lines (each "Name: value" with its CRLF) that these edits let pass. */
  passing(lines: Uint8Array): Uint8Array {
    return this.#removal.passing(lines);
  }

  /** An answer of our own with (prepared) edits applied. */
  applyTo(answer: FixedAnswer, id: Uint8Array = nothing, idFrom = 0, idTo = 0): FixedAnswer {
    const own = this.passing(answer.lines);
    const lines = new Uint8Array(own.length + this.room);
    lines.set(own);
    return { ...answer, lines: lines.subarray(0, this.write(lines, own.length, id, idFrom, idTo)) };
  }
}

/** Compiles edits; null where there are none. To set is to remove all of that name and to add one. */
export function compileHeaderEdits(plan: HeaderEditsPlan): HeaderEdits | null {
  const { set, add, remove } = plan;
  if (set.length === 0 && add.length === 0 && remove.length === 0) return null;
  const names = new Set([...remove, ...set.map(([name]) => name)].map((name) => name.toLowerCase()));
  return new HeaderEdits(new Removal([...names]), compileLines([...set, ...add]));
}

/** Neighbouring literal bytes are joined, so edits without placeholders are one copy. */
function compileLines(lines: readonly (readonly [string, string])[]): readonly Part[] {
  const parts: Part[] = [];
  let literal = "";
  for (const [name, value] of lines) {
    literal += name + ": ";
    // With a group in the pattern, split gives text and placeholder in turn.
    oneLine(value)
      .split(token)
      .forEach((piece, i) => {
        if (i % 2 === 0) {
          literal += piece;
          return;
        }
        parts.push(Buffer.from(literal, "utf8"), piece as Placeholder);
        literal = "";
      });
    literal += "\r\n";
  }
  if (literal !== "") parts.push(Buffer.from(literal, "utf8"));
  return parts;
}

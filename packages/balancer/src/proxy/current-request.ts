// The request that is being routed, as strings made only when somebody asks. There is one such object in a worker: a
// request is routed from its first step to its last without a pause, so it can be filled again for the next.
import { Field, type RequestHead, TargetForm } from "@plimsoll/wire/http1";
import { spells, text } from "../base/bytes.ts";
import { cookieFrom, cookieTo, findCookie } from "./cookies.ts";
import { queryValue, type RequestView } from "./route/view.ts";

const empty = new Uint8Array(0);

export class CurrentRequest implements RequestView {
  bytes: Uint8Array = empty;
  head: RequestHead | null = null;
  #source = "";
  #host: string | null = null;
  #path: string | null = null;

  /** Points it at a parsed head; `source` is the believed address of the client. */
  set(bytes: Uint8Array, head: RequestHead, source: string): void {
    this.bytes = bytes;
    this.head = head;
    this.#source = source;
    this.#host = null;
    this.#path = null;
  }

  method(): string {
    const head = this.head as RequestHead;
    return text(this.bytes, head.start, head.methodEnd);
  }

  /** The authority as received, with its port. */
  authority(): string {
    const head = this.head as RequestHead;
    return text(this.bytes, head.hostStart, head.hostEnd);
  }

  host(): string {
    if (this.#host !== null) return this.#host;
    const authority = this.authority().toLowerCase();
    const colon = authority.lastIndexOf(":");
    const host = colon > authority.lastIndexOf("]") ? authority.slice(0, colon) : authority;
    // "example.com." is the same name as "example.com" (RFC 1034 §3.1: the root's label is empty).
    return (this.#host = host.length > 1 && host.endsWith(".") ? host.slice(0, -1) : host);
  }

  path(): string {
    if (this.#path !== null) return this.#path;
    const head = this.head as RequestHead;
    if (head.form === TargetForm.asterisk) return (this.#path = "*");
    return (this.#path = text(this.bytes, head.pathStart, head.pathEnd) || "/");
  }

  /** "?" and what follows, or "". */
  search(): string {
    const head = this.head as RequestHead;
    return text(this.bytes, head.pathEnd, head.queryEnd);
  }

  target(): string {
    const head = this.head as RequestHead;
    return text(this.bytes, head.targetStart, head.targetEnd);
  }

  query(name: string): string | undefined {
    return queryValue(this.search().slice(1), name);
  }

  header(lowerName: string): string | undefined {
    const fields = (this.head as RequestHead).fields;
    const at = fields.at;
    let value: string | undefined;
    for (let i = 0, k = 0; i < fields.count; i++, k += 4) {
      if (!spells(this.bytes, at[k] as number, at[k + 1] as number, lowerName)) continue;
      const one = text(this.bytes, at[k + 2] as number, at[k + 3] as number);
      // RFC 9110 §5.2: several lines of one name are one list; Cookie lines join with ";" (RFC 6265 §5.4).
      value = value === undefined ? one : `${value}${lowerName === "cookie" ? "; " : ", "}${one}`;
    }
    return value;
  }

  cookie(name: string, nth = 0): string | undefined {
    const { bytes } = this;
    const { at, count, ids } = (this.head as RequestHead).fields;
    let left = nth;
    for (let i = 0, k = 0; i < count; i++, k += 4) {
      if (ids[i] !== Field.cookie) continue;
      const to = at[k + 3] as number;
      let from = findCookie(bytes, at[k + 2] as number, to, name);
      for (; from >= 0; from = findCookie(bytes, from, to, name)) {
        if (left-- === 0) return text(bytes, cookieFrom, cookieTo);
      }
    }
    return undefined;
  }

  source(): string {
    return this.#source;
  }
}

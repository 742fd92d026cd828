// A connection as routes, hashes and stickiness see it. It has an address and, where its first bytes were read,
// the name and the protocols that its client asks for; nothing of what a request has.
import type { StickyRequest } from "../../pool/stick/stick.ts";
import type { RequestView } from "../route/view.ts";

export class ConnectionView implements RequestView, StickyRequest {
  #source = "";
  #name = "";
  #protocols: readonly string[] = [];

  /** `name` as in SNI, in lower case, "" for none; `protocols` as offered by ALPN. */
  set(source: string, name: string, protocols: readonly string[]): void {
    this.#source = source;
    this.#name = name;
    this.#protocols = protocols;
  }

  source(): string {
    return this.#source;
  }

  /** The name in SNI stands where a request has its Host. */
  host(): string {
    return this.#name;
  }

  alpn(): readonly string[] {
    return this.#protocols;
  }

  method(): string {
    return "";
  }

  path(): string {
    return "/";
  }

  query(): undefined {
    return undefined;
  }

  header(): undefined {
    return undefined;
  }

  cookie(): undefined {
    return undefined;
  }
}

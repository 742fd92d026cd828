// Finds where requests begin and end while their bytes arrive, so that an origin can answer at the right moment without
// reading everything again. Judges only what it needs for that; the strict reader judges the rest.
import { Pile } from "./bytes.ts";

/** What the framer tells. Bytes are valid during the call. */
export interface FramerEvents {
  /** A head is complete; `text` runs up to and with the empty line. */
  onHead(text: string): void;
  /** Body bytes without their framing. */
  onBody(bytes: Uint8Array): void;
  /** The request is complete; `message` are all of its bytes, or undefined when they were too many to keep. */
  onRequest(message: Uint8Array | undefined): void;
  /** The bytes cannot be framed; nothing more is read from this connection. */
  onViolation(text: string): void;
}

type Stage = "head" | "length" | "chunk-line" | "chunk-data" | "chunk-end" | "trailers" | "stopped";

const blank = Buffer.from("\r\n\r\n");
const lineEnd = Buffer.from("\r\n");

/** Keeps at most `keep` bytes of one message; heads and chunk lines are bounded by it, too. */
export class RequestFramer {
  readonly #events: FramerEvents;
  readonly #keep: number;
  #pile = new Pile();
  /** Bytes of the pile that are framed already. */
  #at = 0;
  #stage: Stage = "head";
  #left = 0;
  /** Whether bytes of the current message were dropped. */
  #dropped = false;

  constructor(events: FramerEvents, keep: number) {
    this.#events = events;
    this.#keep = keep;
  }

  /** Whether it stands between two requests, with nothing of the next one seen. */
  get between(): boolean {
    return this.#stage === "head" && this.#pile.length === 0;
  }

  /** The beginning of a head that is not complete; empty anywhere else. */
  get unframed(): Uint8Array {
    return this.#stage === "head" ? this.#pile.view(this.#at).slice() : new Uint8Array();
  }

  /** Leaves off framing: what follows is not HTTP (a tunnel). Returns what has arrived behind the last request. */
  stop(): Uint8Array {
    this.#stage = "stopped";
    return this.#pile.view(this.#at).slice();
  }

  add(bytes: Uint8Array): void {
    if (this.#stage === "stopped") return;
    this.#pile.add(bytes);
    while (this.#step());
    if (this.#pile.length > this.#keep && this.#at > 0) this.#drop();
    if (this.#pile.length > this.#keep + 65_536) this.#violated("a head or line that does not end");
  }

  #step(): boolean {
    switch (this.#stage) {
      case "head":
        return this.#head();
      case "length":
      case "chunk-data":
        return this.#data();
      case "chunk-line":
        return this.#chunkLine();
      case "chunk-end":
        return this.#chunkEnd();
      case "trailers":
        return this.#trailers();
      case "stopped":
        return false;
    }
  }

  #head(): boolean {
    const end = this.#find(blank);
    if (end < 0) return false;
    const text = this.#text(this.#at, end + 4);
    this.#at = end + 4;
    const coding = /^transfer-encoding:[ \t]*(.*?)[ \t]*\r$/im.exec(text)?.[1];
    const length = /^content-length:[ \t]*(.*?)[ \t]*\r$/im.exec(text)?.[1];
    if (coding !== undefined && coding.toLowerCase() !== "chunked")
      return this.#violated(`Transfer-Encoding ${coding}`);
    if (length !== undefined && !/^\d{1,15}$/.test(length)) return this.#violated(`Content-Length ${length}`);
    this.#events.onHead(text);
    if (this.#is("stopped")) return false;
    if (coding !== undefined) this.#stage = "chunk-line";
    else if (Number(length ?? 0) > 0) {
      this.#stage = "length";
      this.#left = Number(length);
    } else this.#complete();
    return true;
  }

  #data(): boolean {
    const to = Math.min(this.#pile.length, this.#at + this.#left);
    if (to === this.#at) return false;
    this.#events.onBody(this.#pile.view(this.#at, to));
    this.#left -= to - this.#at;
    this.#at = to;
    if (this.#left > 0) return false;
    if (this.#stage === "length") this.#complete();
    else this.#stage = "chunk-end";
    return true;
  }

  #chunkLine(): boolean {
    const end = this.#find(lineEnd);
    if (end < 0) return false;
    const line = this.#text(this.#at, end);
    const size = /^([0-9A-Fa-f]{1,13})[ \t]*(;|$)/.exec(line)?.[1];
    if (size === undefined) return this.#violated(`chunk size ${JSON.stringify(line)}`);
    this.#at = end + 2;
    this.#left = Number.parseInt(size, 16);
    this.#stage = this.#left === 0 ? "trailers" : "chunk-data";
    return true;
  }

  #chunkEnd(): boolean {
    if (this.#pile.length < this.#at + 2) return false;
    if (this.#text(this.#at, this.#at + 2) !== "\r\n") return this.#violated("no CRLF after a chunk");
    this.#at += 2;
    this.#stage = "chunk-line";
    return true;
  }

  #trailers(): boolean {
    const end = this.#find(lineEnd);
    if (end < 0) return false;
    const last = end === this.#at;
    this.#at = end + 2;
    if (last) this.#complete();
    return true;
  }

  #complete(): void {
    this.#stage = "head";
    const message = this.#dropped ? undefined : this.#pile.view(0, this.#at).slice();
    this.#drop();
    this.#dropped = false;
    this.#events.onRequest(message);
  }

  /** Forgets what is framed. */
  #drop(): void {
    const rest = this.#pile.view(this.#at).slice();
    this.#pile = new Pile();
    this.#pile.add(rest);
    this.#at = 0;
    this.#dropped = true;
  }

  #violated(text: string): false {
    this.#stage = "stopped";
    this.#events.onViolation(text);
    return false;
  }

  #is(stage: Stage): boolean {
    return this.#stage === stage;
  }

  #find(wanted: Buffer): number {
    const view = this.#pile.view();
    return Buffer.from(view.buffer, view.byteOffset, view.length).indexOf(wanted, this.#at);
  }

  #text(from: number, to: number): string {
    return Buffer.from(this.#pile.view(from, to)).toString("latin1");
  }
}

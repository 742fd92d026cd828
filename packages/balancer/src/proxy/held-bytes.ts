// Bytes that arrived and cannot be used yet: half a head, a body whose endpoint is not connected, the next request. What a
// handler is given is borrowed, so it is copied here. Whoever fills it pauses its source: it never bounds itself.
import { copyBytes, roundUp } from "../base/bytes.ts";

export class HeldBytes {
  #bytes: Uint8Array | null = null;
  /** What counts of the buffer: [from, to). */
  from = 0;
  to = 0;

  get empty(): boolean {
    return this.#bytes === null;
  }

  /** The first byte; -1 without one. */
  get first(): number {
    return this.#bytes === null || this.from === this.to ? -1 : this.#bytes[this.from]!;
  }

  /** What is held, where it lies: until something is added or taken. */
  get view(): Uint8Array {
    return this.#bytes === null ? nothing : this.#bytes.subarray(this.from, this.to);
  }

  get length(): number {
    return this.to - this.from;
  }

  add(bytes: Uint8Array, from: number, to: number): void {
    const held = this.#bytes;
    if (held === null) this.from = this.to = 0;
    if (held === null || this.to + (to - from) > held.length) {
      const grown = Buffer.allocUnsafeSlow(roundUp(this.length + (to - from)));
      if (held !== null) copyBytes(grown, 0, held, this.from, this.to);
      this.to -= this.from;
      this.from = 0;
      this.#bytes = grown;
    }
    this.to = copyBytes(this.#bytes as Uint8Array, this.to, bytes, from, to);
  }

  /** Takes everything out; `from` and `to` say what of it counts until something is added again. */
  take(): Uint8Array {
    const bytes = this.#bytes ?? nothing;
    if (this.#bytes === null) this.from = this.to = 0;
    this.#bytes = null;
    return bytes;
  }

  /**
   * Gives back what `take` gave and is not used yet, uncopied: thousands of requests that came in one piece would else each
   * cost a copy of all that follow. The rest of a large piece is copied after all, so that half a head does not hold it.
   */
  putBack(bytes: Uint8Array, from: number, to: number): void {
    if ((to - from) * 4 < bytes.length) return this.add(bytes, from, to);
    this.#bytes = bytes;
    this.from = from;
    this.to = to;
  }

  clear(): void {
    this.#bytes = null;
    this.from = this.to = 0;
  }
}

const nothing = new Uint8Array(0);

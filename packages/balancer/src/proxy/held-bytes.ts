// Bytes that arrived and cannot be used yet: half a head, a body whose endpoint is not connected, the next request. What a
// handler is given is borrowed, so it is copied here. Whoever fills it pauses its source: it never bounds itself.
import { copyBytes, roundUp } from "../base/bytes.ts";

export class HeldBytes {
  #bytes: Uint8Array | null = null;
  length = 0;

  get empty(): boolean {
    return this.#bytes === null;
  }

  add(bytes: Uint8Array, from: number, to: number): void {
    const held = this.#bytes;
    const length = held === null ? 0 : this.length;
    const needed = length + (to - from);
    if (held === null || needed > held.length) {
      const grown = Buffer.allocUnsafeSlow(roundUp(needed));
      if (held !== null) copyBytes(grown, 0, held, 0, length);
      this.#bytes = grown;
    }
    this.length = copyBytes(this.#bytes as Uint8Array, length, bytes, from, to);
  }

  /** Takes everything out; `length` says how much of it counts until something is added again. */
  take(): Uint8Array {
    const bytes = this.#bytes ?? nothing;
    if (this.#bytes === null) this.length = 0;
    this.#bytes = null;
    return bytes;
  }

  clear(): void {
    this.#bytes = null;
    this.length = 0;
  }
}

const nothing = new Uint8Array(0);

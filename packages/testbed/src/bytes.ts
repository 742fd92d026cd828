// Text and bytes as tests write them: one character, one byte.

/** What tests may give where bytes are meant; text is taken as Latin-1. */
export type Bytes = string | Uint8Array;

export function toBytes(data: Bytes): Uint8Array {
  return typeof data === "string" ? new Uint8Array(Buffer.from(data, "latin1")) : data;
}

/** Bytes as text that shows line ends and is not too long for a message. */
export function show(bytes: Uint8Array, most = 400): string {
  const text = JSON.stringify(Buffer.from(bytes.subarray(0, most)).toString("latin1"));
  return bytes.length > most ? `${text} and ${bytes.length - most} bytes more` : text;
}

/** Bytes that grow; reading them copies nothing. */
export class Pile {
  #bytes = new Uint8Array(4096);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  /** What lies in [from, to); valid until the next `add`. */
  view(from = 0, to = this.#length): Uint8Array {
    return this.#bytes.subarray(from, Math.min(to, this.#length));
  }
}

// Cuts an instance's output into lines, so that lines of several instances can be told apart and never mix.

/** Longest line passed on in one piece, in bytes; the rest of it follows as further lines. */
export const longestLine = 16 * 1024;

const newline = 10;
const carriageReturn = 13;

/** Splits bytes that arrive in any pieces. Holds back at most `longestLine` bytes. */
export class LineSplitter {
  #held = new Uint8Array(256);
  #length = 0;

  /** How many bytes of an unfinished line are held back. */
  get pending(): number {
    return this.#length;
  }

  /** Takes borrowed bytes; calls `line` for each finished line, without its end of line. The line is borrowed too. */
  push(bytes: Uint8Array, line: (bytes: Uint8Array) => void): void {
    let from = 0;
    while (from < bytes.length) {
      const end = bytes.indexOf(newline, from);
      const to = end < 0 ? bytes.length : end;
      from = this.#hold(bytes, from, to, line);
      if (from < to) continue;
      if (end < 0) return;
      this.flush(line, true);
      from = end + 1;
    }
  }

  /** Passes on what is held back: at the end of the output, or when a prompt waits. */
  flush(line: (bytes: Uint8Array) => void, finished = false): void {
    if (this.#length === 0 && !finished) return;
    let length = this.#length;
    if (finished && length > 0 && this.#held[length - 1] === carriageReturn) length--;
    const held = this.#held.subarray(0, length);
    this.#length = 0;
    line(held);
  }

  /** Holds bytes [from, to) up to the limit and returns how far it came; over the limit, passes on a first piece. */
  #hold(bytes: Uint8Array, from: number, to: number, line: (bytes: Uint8Array) => void): number {
    const take = Math.min(to - from, longestLine - this.#length);
    if (this.#length + take > this.#held.length) {
      const larger = new Uint8Array(Math.min(longestLine, Math.max(this.#length + take, this.#held.length * 2)));
      larger.set(this.#held.subarray(0, this.#length));
      this.#held = larger;
    }
    this.#held.set(bytes.subarray(from, from + take), this.#length);
    this.#length += take;
    if (this.#length === longestLine && from + take < to) {
      const cut = characterBoundary(this.#held, this.#length);
      line(this.#held.subarray(0, cut));
      this.#held.copyWithin(0, cut, this.#length);
      this.#length -= cut;
    }
    return from + take;
  }
}

/** The largest place up to `length` at which no UTF-8 character is cut in two. */
function characterBoundary(bytes: Uint8Array, length: number): number {
  for (let at = length - 1; at >= length - 4 && at > 0; at--) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x80) return length;
    if (byte < 0xc0) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return at + size <= length ? length : at;
  }
  return length;
}

/** The last lines of an output, for the day they explain why an instance fell. Bounded in lines and in bytes a line. */
export class LastLines {
  readonly #lines: string[] = [];
  readonly #most: number;

  constructor(most = 24) {
    this.#most = most;
  }

  add(line: Uint8Array): void {
    if (line.length === 0) return;
    this.#lines.push(new TextDecoder().decode(line.subarray(0, 400)));
    if (this.#lines.length > this.#most) this.#lines.shift();
  }

  list(): readonly string[] {
    return this.#lines;
  }
}

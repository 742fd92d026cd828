// Where one frame ends and the next begins, found in pieces of any size.

/** Opcodes (RFC 6455 §5.2) that a tracker tells apart. */
const Opcode = { binary: 2, close: 8, pong: 10 } as const;

/** What the next header byte means. */
const Stage = { first: 0, second: 1, length: 2, mask: 3, payload: 4, broken: 5 } as const;

/**
 * Follows one direction of a WebSocket from its first byte on, in pieces of any size. It looks at headers only and skips
 * payloads, whatever extension made them. Bytes that cannot be frames break it for good: then no boundary is known.
 */
export class FrameTracker {
  /** A whole close frame has passed: its sender will send no more data (§5.5.1). */
  closed = false;
  /** Whether frames of this direction must be masked: from clients yes, from servers no (§5.1). */
  readonly #masked: boolean;
  #stage: number = Stage.first;
  #opcode = 0;
  /** Bytes still to come of the extended length or the mask. */
  #left = 0;
  /** Payload bytes still to come; grows up to the frame's length while that is read. */
  #payload = 0;

  constructor(masked: boolean) {
    this.#masked = masked;
  }

  /** Whether everything so far was whole frames: another frame may be put in here. */
  get atBoundary(): boolean {
    return this.#stage === Stage.first;
  }

  /** Whether this is no WebSocket, or not one that keeps the rules. */
  get broken(): boolean {
    return this.#stage === Stage.broken;
  }

  /** Reads on from `from`, at most to the end of the frame under way; returns how far it came, at most `to`. */
  step(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    while (at < to) {
      if (this.#stage === Stage.payload) {
        const taken = Math.min(to - at, this.#payload);
        this.#payload -= taken;
        at += taken;
        if (this.#payload === 0) {
          this.#end();
          return at;
        }
        continue;
      }
      if (this.#stage === Stage.broken) return to;
      this.#header(bytes[at++] as number);
      if (this.#stage === Stage.first) return at;
    }
    return at;
  }

  /** Reads all of [from, to). */
  skip(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to;) at = this.step(bytes, at, to);
  }

  #header(byte: number): void {
    switch (this.#stage) {
      case Stage.first:
        this.#opcode = byte & 0x0f;
        this.#stage = Stage.second;
        // §5.2: 3 to 7 and 11 to 15 are reserved; §5.5: control frames are never fragmented.
        if (!isKnown(this.#opcode) || (this.#opcode >= Opcode.close && (byte & 0x80) === 0)) this.#break();
        return;
      case Stage.second: {
        const length = byte & 0x7f;
        if (((byte & 0x80) !== 0) !== this.#masked || (this.#opcode >= Opcode.close && length > 125)) {
          this.#break();
          return;
        }
        this.#payload = length < 126 ? length : 0;
        this.#left = length < 126 ? 0 : length === 126 ? 2 : 8;
        this.#stage = Stage.length;
        if (this.#left === 0) this.#lengthRead();
        return;
      }
      case Stage.length:
        // The most significant bit must be 0 (§5.2), and nobody sends 2^53 bytes in one frame.
        this.#payload = this.#payload * 256 + byte;
        if (this.#payload > Number.MAX_SAFE_INTEGER) this.#break();
        else if (--this.#left === 0) this.#lengthRead();
        return;
      default:
        if (--this.#left === 0) this.#headerRead();
    }
  }

  #lengthRead(): void {
    if (!this.#masked) {
      this.#headerRead();
      return;
    }
    this.#left = 4;
    this.#stage = Stage.mask;
  }

  #headerRead(): void {
    if (this.#payload === 0) this.#end();
    else this.#stage = Stage.payload;
  }

  #end(): void {
    if (this.#opcode === Opcode.close) this.closed = true;
    this.#stage = Stage.first;
  }

  #break(): void {
    this.#stage = Stage.broken;
  }
}

function isKnown(opcode: number): boolean {
  return opcode <= Opcode.binary || (opcode >= Opcode.close && opcode <= Opcode.pong);
}

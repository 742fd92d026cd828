// The first handshake message of a TLS client, put together from as many records and segments as it comes in.
import { ClientHello } from "./client-hello.ts";
import { parseHello } from "./parse.ts";
import { HelloViolation } from "./violations.ts";

/** What the next byte belongs to. */
const State = { type: 0, major: 1, minor: 2, length: 3, lengthLow: 4, payload: 5, done: 6 } as const;

/** RFC 8446 §5.1 */
const longestRecord = 16_384;
/** Type and length before the message's body. */
const messageHead = 4;
const handshake = 22;
const clientHello = 1;

/** How much of a client is read before it has said where it wants to go. */
export interface HelloLimits {
  /** Longest message. 1,700 bytes are usual with a post-quantum key share; session tickets can add a few thousand. */
  readonly bytes: number;
  /** Most records that it may come in. Nearly all clients use one; some cut it up to get past filters. */
  readonly records: number;
}

/** What holds if nothing else is said. */
export const helloLimits: HelloLimits = { bytes: 16_384, records: 32 };

/**
 * An incremental reader. Call `step` with bytes as they come until `done` or `violation` is not 0. It keeps a copy of the
 * message, never more than the limit, and nothing of the records: who passes them on keeps them.
 */
export class ClientHelloReader {
  readonly hello = new ClientHello();
  /** The whole message was read and `hello` is filled. */
  done = false;
  /** Number of a violation, 0 if none; the reader then stands still. */
  violation = 0;
  readonly #limits: HelloLimits;
  #state: number = State.type;
  #records = 0;
  /** Bytes of the current record still to come. */
  #left = 0;
  #message: Uint8Array = new Uint8Array(512);
  #length = 0;

  constructor(limits: HelloLimits = helloLimits) {
    this.#limits = limits;
  }

  /**
   * Consumes bytes from `from` on. Returns the position after what it consumed: `to`, or earlier at the end of the message
   * or at a violation. What comes after the message's last record is not looked at.
   */
  step(bytes: Uint8Array, from: number, to: number): number {
    let p = from;
    while (p < to && !this.done && this.violation === 0) {
      if (this.#state === State.payload) {
        const taken = Math.min(to - p, this.#left);
        this.#take(bytes, p, p + taken);
        p += taken;
      } else {
        this.violation = this.#header(bytes[p]!);
        p++;
      }
    }
    return p;
  }

  /** One byte of a record's header. Returns a violation or 0. */
  #header(byte: number): number {
    switch (this.#state) {
      case State.type:
        if (byte !== handshake) return this.#records === 0 ? HelloViolation.absent : HelloViolation.recordType;
        if (this.#records++ === this.#limits.records) return HelloViolation.recordsTooMany;
        break;
      case State.major:
        // §5.1: "MUST be ignored for all purposes"; but all there ever were have 3 here, and other protocols do not.
        if (byte !== 3) return this.#records === 1 ? HelloViolation.absent : HelloViolation.recordVersion;
        break;
      case State.minor:
        if (byte > 4) return HelloViolation.recordVersion;
        break;
      case State.length:
        this.#left = byte << 8;
        break;
      default:
        this.#left |= byte;
        if (this.#left === 0) return HelloViolation.recordEmpty;
        if (this.#left > longestRecord) return HelloViolation.recordTooLong;
    }
    this.#state++;
    return 0;
  }

  /** Takes payload, byte for byte as far as the message's head goes: its length decides how much may be kept. */
  #take(bytes: Uint8Array, from: number, to: number): void {
    let p = from;
    this.#left -= to - from;
    while (p < to && this.#length < messageHead) {
      this.#message[this.#length++] = bytes[p++]!;
      if (this.#length === 1 && this.#message[0] !== clientHello) this.violation = HelloViolation.otherMessage;
      if (this.#length === messageHead && this.#total() > this.#limits.bytes) this.violation = HelloViolation.tooLong;
      if (this.violation !== 0) return;
    }
    const total = this.#length < messageHead ? Infinity : this.#total();
    // §5.1: a message that keys change after ends with its record; the bytes behind it would be lost on a router.
    if (this.#length + (to - p) + this.#left > total) {
      this.violation = HelloViolation.trailing;
      return;
    }
    this.#keep(bytes, p, to);
    if (this.#length === total) {
      this.violation = parseHello(this.#message, messageHead, total, this.hello);
      this.done = this.violation === 0;
      this.#state = State.done;
    } else if (this.#left === 0) this.#state = State.type;
  }

  /** The message's length with its head. */
  #total(): number {
    const message = this.#message;
    return messageHead + message[1]! * 0x10000 + message[2]! * 0x100 + message[3]!;
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    const needed = this.#length + (to - from);
    if (needed > this.#message.length) {
      // Only for bytes that are here: a length that was merely announced reserves nothing.
      const grown = new Uint8Array(Math.max(needed, this.#message.length * 2));
      grown.set(this.#message.subarray(0, this.#length));
      this.#message = grown;
    }
    this.#message.set(bytes.subarray(from, to), this.#length);
    this.#length = needed;
  }
}

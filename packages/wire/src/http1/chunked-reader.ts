// Reads a chunked body (RFC 9112 §7.1) as it comes, cut anywhere, and keeps nothing of it but the trailers.
import type { HeadLimits } from "./limits.ts";
import { answerLimits, requestLimits } from "./limits.ts";
import { COLON, CR, EQUALS, HTAB, hexTable, LF, nameTable, SEMICOLON, SP, valueTable } from "./octets.ts";
import { mayTrail } from "./trailers.ts";
import { inAnswer, Violation } from "./violations.ts";

/** What the next byte belongs to. */
const State = {
  sizeFirst: 0,
  size: 1,
  /** White space after the size or an extension: only another extension may follow. */
  beforeSemicolon: 2,
  beforeName: 3,
  name: 4,
  afterName: 5,
  beforeValue: 6,
  token: 7,
  quoted: 8,
  quotedPair: 9,
  afterQuoted: 10,
  sizeLf: 11,
  data: 12,
  dataCr: 13,
  dataLf: 14,
  trailerFirst: 15,
  trailerName: 16,
  trailerSpace: 17,
  trailerValue: 18,
  trailerLf: 19,
  endLf: 20,
  done: 21,
} as const;

/** Thirteen digits stay below 2^52: exact in a double, and no sum of a few of them can round. */
const maxSizeDigits = 13;
const maxLine = 256;
const maxExtensions = 4096;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * An incremental reader. Call `step` until it has consumed all bytes, `done` is true or `violation` is not 0; after each
 * step [dataStart, dataEnd) of the bytes given to it is body. Extensions are checked and forgotten.
 */
export class ChunkedReader {
  /** Data found by the last step; equal if none. */
  dataStart = 0;
  dataEnd = 0;
  /** The body and its trailers are complete. */
  done = false;
  /** Number of a violation, 0 if none; the reader then stands still until `reset`. */
  violation = 0;
  /** Accepted trailer fields as `Name: value\r\n`, in [0, trailerLength). */
  trailers: Uint8Array = new Uint8Array(0);
  trailerLength = 0;

  readonly #answer: boolean;
  readonly #limits: HeadLimits;
  #state: number = State.sizeFirst;
  #left = 0;
  #digits = 0;
  #line = 0;
  #extensions = 0;
  #fieldRoom: number;
  #byteRoom: number;
  /** Where the current trailer line, and its value, begin in `trailers`. */
  #lineAt = 0;
  #nameEnd = 0;
  #valueAt = 0;

  /** `side` only tells whose violations these are, and which limits hold if none are given. */
  constructor(side: "request" | "answer" = "request", limits?: HeadLimits) {
    this.#answer = side === "answer";
    this.#limits = limits ?? (this.#answer ? answerLimits : requestLimits);
    this.#fieldRoom = this.#limits.fields;
    this.#byteRoom = this.#limits.headBytes;
  }

  /** Begins a new body. What the message's head has used of the limits is no longer there for its trailers. */
  reset(headFields = 0, headBytes = 0): void {
    this.dataStart = this.dataEnd = 0;
    this.done = false;
    this.violation = 0;
    this.trailerLength = 0;
    this.#state = State.sizeFirst;
    this.#left = this.#digits = this.#line = this.#extensions = 0;
    this.#fieldRoom = this.#limits.fields - headFields;
    this.#byteRoom = this.#limits.headBytes - headBytes;
  }

  /** Consumes bytes from `from` on, up to the end of one run of data. Returns the position after what it consumed. */
  step(bytes: Uint8Array, from: number, to: number): number {
    this.dataStart = this.dataEnd = from;
    if (this.done || this.violation !== 0) return from;
    let p = from;
    while (p < to) {
      const state = this.#state;
      if (state === State.data) {
        const run = this.#left < to - p ? this.#left : to - p;
        this.#left -= run;
        if (this.#left === 0) this.#state = State.dataCr;
        this.dataStart = p;
        this.dataEnd = p + run;
        return this.dataEnd;
      }
      const byte = bytes[p]!;
      const violation =
        state < State.data
          ? this.#chunkLine(state, byte)
          : state < State.trailerFirst
            ? this.#afterData(state, byte)
            : this.#trailer(state, byte);
      if (violation !== 0) {
        this.violation = this.#answer ? inAnswer(violation) : violation;
        this.dataStart = this.dataEnd = p;
        return p;
      }
      p++;
      if (this.done) break;
    }
    this.dataStart = this.dataEnd = p;
    return p;
  }

  /** One byte of a chunk's first line. Returns a violation or 0. */
  #chunkLine(state: number, byte: number): number {
    if (state === State.sizeLf) {
      if (byte !== LF) return Violation.chunkLineEnd;
      this.#state = this.#left === 0 ? State.trailerFirst : State.data;
      return 0;
    }
    if (state <= State.size) {
      const digit = hexTable[byte]!;
      if (digit < 16) {
        if (state === State.sizeFirst) {
          this.#left = this.#digits = this.#line = 0;
          this.#state = State.size;
        }
        if (++this.#digits > maxSizeDigits) return Violation.chunkSizeTooLong;
        this.#line++;
        this.#left = this.#left * 16 + digit;
        return 0;
      }
      if (state === State.sizeFirst) return Violation.chunkSize;
    }
    if (byte === CR) {
      if (state !== State.size && state !== State.name && state !== State.token && state !== State.afterQuoted) {
        return Violation.chunkExtension;
      }
      this.#state = State.sizeLf;
      return 0;
    }
    if (byte === LF) return Violation.chunkLineEnd;
    if (++this.#line > maxLine) return Violation.chunkLineTooLong;
    if (state === State.size && byte !== SEMICOLON && byte !== SP && byte !== HTAB) return Violation.chunkSize;
    if (++this.#extensions > maxExtensions) return Violation.chunkExtensionsTooMany;
    const next = nextInExtension(state, byte);
    if (next < 0) return Violation.chunkExtension;
    this.#state = next;
    return 0;
  }

  #afterData(state: number, byte: number): number {
    if (byte !== (state === State.dataCr ? CR : LF)) return Violation.chunkDataEnd;
    this.#state = state === State.dataCr ? State.dataLf : State.sizeFirst;
    return 0;
  }

  /** One byte of the trailer section or of the empty line after it. */
  #trailer(state: number, byte: number): number {
    if (state === State.endLf) {
      if (byte !== LF) return Violation.chunkLineEnd;
      this.#state = State.done;
      this.done = true;
      return 0;
    }
    if (state === State.trailerFirst) {
      if (byte === CR) {
        this.#state = State.endLf;
        return 0;
      }
      if (--this.#fieldRoom < 0) return Violation.trailersTooMany;
      this.#lineAt = this.trailerLength;
    }
    if (--this.#byteRoom < 0) return Violation.trailersTooLarge;
    switch (state) {
      case State.trailerFirst:
      case State.trailerName:
        if (byte === COLON && state === State.trailerName) {
          this.#nameEnd = this.trailerLength;
          this.#keep(COLON);
          this.#keep(SP);
          this.#valueAt = this.trailerLength;
          this.#state = State.trailerSpace;
          return 0;
        }
        if (nameTable[byte] === 0) return Violation.trailerMalformed;
        this.#keep(byte);
        this.#state = State.trailerName;
        return 0;
      case State.trailerLf:
        if (byte !== LF) return Violation.trailerMalformed;
        this.#endTrailer();
        this.#state = State.trailerFirst;
        return 0;
      default:
        if (byte === CR) {
          this.#state = State.trailerLf;
          return 0;
        }
        if (valueTable[byte] === 0) return Violation.trailerMalformed;
        if (state === State.trailerSpace && (byte === SP || byte === HTAB)) return 0;
        this.#keep(byte);
        this.#state = State.trailerValue;
        return 0;
    }
  }

  /** Finishes a trailer line, or takes it back if it may not pass. */
  #endTrailer(): void {
    const { trailers } = this;
    if (!mayTrail(trailers, this.#lineAt, this.#nameEnd)) {
      this.trailerLength = this.#lineAt;
      return;
    }
    let end = this.trailerLength;
    while (end > this.#valueAt && (trailers[end - 1] === SP || trailers[end - 1] === HTAB)) end--;
    this.trailerLength = end;
    this.#keep(CR);
    this.#keep(LF);
  }

  #keep(byte: number): void {
    if (this.trailerLength === this.trailers.length) {
      const grown = new Uint8Array(Math.max(256, this.trailers.length * 2));
      grown.set(this.trailers);
      this.trailers = grown;
    }
    this.trailers[this.trailerLength++] = byte;
  }
}

/** The state after one more byte of an extension (RFC 9112 §7.1.1), neither CR nor LF; -1 if it cannot stand there. */
function nextInExtension(state: number, byte: number): number {
  const space = byte === SP || byte === HTAB;
  const token = nameTable[byte] !== 0;
  switch (state) {
    case State.size:
    case State.beforeSemicolon:
    case State.afterQuoted:
      return byte === SEMICOLON ? State.beforeName : space ? State.beforeSemicolon : -1;
    case State.beforeName:
      return token ? State.name : space ? State.beforeName : -1;
    case State.name:
      if (token) return State.name;
      return byte === EQUALS ? State.beforeValue : byte === SEMICOLON ? State.beforeName : space ? State.afterName : -1;
    case State.afterName:
      return byte === EQUALS ? State.beforeValue : byte === SEMICOLON ? State.beforeName : space ? State.afterName : -1;
    case State.beforeValue:
      return byte === QUOTE ? State.quoted : token ? State.token : space ? State.beforeValue : -1;
    case State.token:
      if (token) return State.token;
      return byte === SEMICOLON ? State.beforeName : space ? State.beforeSemicolon : -1;
    case State.quoted:
      if (byte === QUOTE) return State.afterQuoted;
      return valueTable[byte] === 0 ? -1 : byte === BACKSLASH ? State.quotedPair : State.quoted;
    default:
      return valueTable[byte] === 0 ? -1 : State.quoted;
  }
}

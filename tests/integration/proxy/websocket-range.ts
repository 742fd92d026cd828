// Frames of every kind that a WebSocket endpoint may meet (RFC 6455), right and wrong, as a table: the groups are those of the
// Autobahn test suite (which itself runs on Python 2 only, and is not used here). Bytes are made by the letter of the RFC and
// apart from the code under test.
import { deflateRawSync } from "node:zlib";

export interface Frame {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  /** Default true. */
  readonly fin?: boolean;
  /** The three reserved bits, 0 to 7. */
  readonly rsv?: number;
  /** Bytes in which the length is written beyond the first; by default as few as there can be. */
  readonly wide?: 0 | 2 | 8;
  /** Masked as the other side has to be: clients mask, endpoints do not (RFC 6455 §5.1). */
  readonly misMasked?: boolean;
}

/** What is sent on a connection, and what the receiver makes of it. */
export interface RangeCase {
  readonly name: string;
  readonly frames: readonly Frame[];
  /** The code in the close frame with which the receiver answers; null: its answer is a close frame without one. */
  readonly closedWith: number | null;
  /** Whether a close frame follows the frames: not where one of them is one, or is the receiver's reason to end. */
  readonly goodbye: boolean;
  /** Sent in pieces of this many bytes, besides whole. */
  readonly piece: number;
}

export const text = 1;
export const binary = 2;
const [more, close, ping, pong] = [0, 8, 9, 10];

/** The bytes of frames; a client masks its own. The mask is always the same, so that two runs send the same bytes. */
export function encode(frames: readonly Frame[], masked: boolean): Buffer {
  return Buffer.concat(frames.map((frame) => encodeOne(frame, masked)));
}

function encodeOne(frame: Frame, asked: boolean): Buffer {
  const masked = asked !== (frame.misMasked ?? false);
  const payload = Buffer.from(frame.payload ?? "");
  const { length } = payload;
  const wide = frame.wide ?? (length > 0xffff ? 8 : length > 125 ? 2 : 0);
  const head = [(frame.fin === false ? 0 : 0x80) | ((frame.rsv ?? 0) << 4) | frame.opcode];
  head.push((masked ? 0x80 : 0) | (wide === 0 ? length : wide === 2 ? 126 : 127));
  for (let at = wide - 1; at >= 0; at--) head.push(Math.floor(length / 256 ** at) % 256);
  if (!masked) return Buffer.concat([Buffer.from(head), payload]);
  const mask = [0x37, 0xfa, 0x21, 0x3d];
  return Buffer.concat([Buffer.from([...head, ...mask]), Buffer.from(payload.map((byte, at) => byte ^ mask[at % 4]!))]);
}

/** A close frame's payload. */
export function closing(code: number, reason: Uint8Array | string = ""): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
}

/** Bytes that look like headers, so that whoever loses its place finds wrong ones. */
export function filler(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => (at % 3 === 0 ? 0x88 : 0x02)));
}

/** The same length as text. */
const letters = (length: number): string => "*".repeat(length);

const normal = 1000;
const protocolError = 1002;
const badData = 1007;

/** The receiver finds nothing wrong. */
function fine(name: string, frames: readonly Frame[], piece = 1): RangeCase {
  return { name, frames, closedWith: normal, goodbye: true, piece };
}

/** The receiver ends the connection with this code. */
function wrong(name: string, frames: readonly Frame[], closedWith = protocolError): RangeCase {
  return { name, frames, closedWith, goodbye: false, piece: 1 };
}

/** A message in pieces of `size`. */
function fragments(opcode: number, payload: Uint8Array, size: number): readonly Frame[] {
  const count = Math.max(1, Math.ceil(payload.length / size));
  return Array.from({ length: count }, (_, at) => ({
    opcode: at === 0 ? opcode : more,
    payload: payload.subarray(at * size, (at + 1) * size),
    fin: at === count - 1,
  }));
}

const borders = [0, 1, 124, 125, 126, 127, 128, 253, 254, 255, 256, 65_534, 65_535, 65_536, 65_537];
/** Large frames are cut into primes, so that no piece begins where another did. */
const pieceOf = (length: number): number => (length < 1000 ? 1 : 997);

const framing = borders.flatMap((length) => [
  fine(`text of ${length} bytes`, [{ opcode: text, payload: letters(length) }], pieceOf(length)),
  fine(`binary of ${length} bytes`, [{ opcode: binary, payload: filler(length) }], pieceOf(length)),
]);

const lengths: readonly RangeCase[] = [
  fine("a short length in 2 bytes", [{ opcode: binary, payload: filler(5), wide: 2 }]),
  fine("a short length in 8 bytes", [{ opcode: binary, payload: filler(5), wide: 8 }]),
  fine("a middling length in 8 bytes", [{ opcode: binary, payload: filler(300), wide: 8 }]),
];

const pings: readonly RangeCase[] = [
  fine("ping, empty", [{ opcode: ping }]),
  fine("ping with text", [{ opcode: ping, payload: "Hello, world!" }]),
  fine("ping with bytes", [{ opcode: ping, payload: Buffer.from([0x00, 0xff, 0xfe, 0xfd, 0x00, 0xff]) }]),
  fine("ping of 125 bytes", [{ opcode: ping, payload: filler(125) }]),
  wrong("ping of 126 bytes", [{ opcode: ping, payload: filler(126) }]),
  fine("pong that nobody asked for", [
    { opcode: pong, payload: "unasked" },
    { opcode: ping, payload: "asked" },
  ]),
  fine(
    "ten pings",
    Array.from({ length: 10 }, (_, at) => ({ opcode: ping, payload: `payload-${at}` })),
  ),
];

const reservedBits: readonly RangeCase[] = [1, 2, 3, 4, 5, 6, 7].flatMap((rsv) => [
  wrong(`reserved bits ${rsv} on text`, [{ opcode: text, payload: letters(10), rsv }]),
  wrong(`reserved bits ${rsv} on a ping, between messages`, [
    { opcode: text, payload: "one" },
    { opcode: ping, payload: "x", rsv },
    { opcode: text, payload: "two" },
  ]),
  wrong(`reserved bits ${rsv} on close`, [{ opcode: close, payload: closing(normal), rsv }]),
]);

const reservedOpcodes: readonly RangeCase[] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode) => [
  wrong(`opcode ${opcode}, empty`, [{ opcode }]),
  wrong(`opcode ${opcode} between messages`, [
    { opcode: text, payload: "one" },
    { opcode, payload: "reserved" },
    { opcode: ping },
  ]),
]);

/** From a client without a mask, from an endpoint with one: the receiver must end the connection (RFC 6455 §5.1). */
const masks: readonly RangeCase[] = [
  ...[more, text, binary, close, ping, pong].map((opcode) =>
    wrong(`opcode ${opcode} with the mask of the other side`, [{ opcode, misMasked: true }]),
  ),
  ...[1, 125, 126, 65_536].map((length) =>
    wrong(`text of ${length} bytes with the mask of the other side`, [
      { opcode: text, payload: "first, as it should be" },
      { opcode: text, payload: letters(length), misMasked: true },
    ]),
  ),
  wrong("a fragment with the mask of the other side", [
    { opcode: text, payload: "one", fin: false },
    { opcode: more, payload: "two", misMasked: true },
  ]),
  wrong("a close that says why, with the mask of the other side", [
    { opcode: close, payload: closing(normal, "done"), misMasked: true },
  ]),
];

const fragmentation: readonly RangeCase[] = [
  wrong("a ping in fragments", [
    { opcode: ping, payload: "one", fin: false },
    { opcode: more, payload: "two" },
  ]),
  wrong("a pong in fragments", [
    { opcode: pong, payload: "one", fin: false },
    { opcode: more, payload: "two" },
  ]),
  fine("text in two", [
    { opcode: text, payload: "one", fin: false },
    { opcode: more, payload: "two" },
  ]),
  fine("text in two, a ping between", [
    { opcode: text, payload: "one", fin: false },
    { opcode: ping, payload: "between" },
    { opcode: more, payload: "two" },
  ]),
  fine("text in five, pings and a pong between, empty fragments", [
    { opcode: text, payload: "", fin: false },
    { opcode: ping, payload: "1" },
    { opcode: more, payload: "a", fin: false },
    { opcode: ping, payload: "2" },
    { opcode: pong, payload: "3" },
    { opcode: more, payload: "", fin: false },
    { opcode: more, payload: "b", fin: false },
    { opcode: ping },
    { opcode: more },
  ]),
  fine("binary byte by byte", fragments(binary, filler(40), 1)),
  fine("messages of fragments one after the other", [
    ...fragments(text, Buffer.from("the first of them"), 5),
    ...fragments(binary, filler(33), 8),
    ...fragments(text, Buffer.from("the last"), 3),
  ]),
  wrong("a continuation of nothing", [
    { opcode: more, payload: "what" },
    { opcode: text, payload: "x" },
  ]),
  wrong("a continuation of nothing, and not the last", [{ opcode: more, payload: "what", fin: false }]),
  wrong("a continuation after a whole message", [
    { opcode: text, payload: "whole" },
    { opcode: more, payload: "more" },
  ]),
  wrong("a new message inside another", [
    { opcode: text, payload: "one", fin: false },
    { opcode: text, payload: "two" },
  ]),
];

const euro = Buffer.from("κόσμε €😀");
const goodText: Readonly<Record<string, Uint8Array>> = {
  "of several bytes a letter": euro,
  "the least of each length": Buffer.from("00c280e0a080f0908080", "hex"),
  "the greatest of each length": Buffer.from("7fdfbfefbfbff48fbfbf", "hex"),
  "beside the surrogates": Buffer.from("ed9fbfee8080", "hex"),
  noncharacters: Buffer.from("efbfbeefbfbff09fbfbe", "hex"),
  "a byte order mark": Buffer.from("efbbbf61", "hex"),
};
const badText: Readonly<Record<string, string>> = {
  "a lone continuation": "80",
  "a start byte and a space": "c020",
  "cut off after one byte": "c3",
  "cut off after three bytes": "f09080",
  "an impossible byte": "fe",
  "overlong slash": "c0af",
  "overlong, three bytes": "e080af",
  "overlong, four bytes": "f08080af",
  "overlong NUL": "c080",
  "a high surrogate": "eda080",
  "a pair of surrogates": "eda080edb080",
  "beyond U+10FFFF": "f4908080",
  "five bytes": "f888808080",
  "six bytes": "fc8480808080",
};

const utf8: readonly RangeCase[] = [
  ...Object.entries(goodText).flatMap(([name, payload]) => [
    fine(`text: ${name}`, [{ opcode: text, payload }]),
    fine(`text in fragments of a byte: ${name}`, fragments(text, payload, 1)),
  ]),
  ...Object.entries(badText).flatMap(([name, hex]) => [
    wrong(`bad text: ${name}`, [{ opcode: text, payload: Buffer.from(`6f6b${hex}`, "hex") }], badData),
    wrong(`bad text in fragments: ${name}`, fragments(text, Buffer.from(`6f6b${hex}`, "hex"), 1), badData),
  ]),
  fine("bad text is good binary", [{ opcode: binary, payload: Buffer.from("80c0affe", "hex") }]),
];

/** A close frame is answered with its own code. */
function closes(name: string, payload: Uint8Array, closedWith: number | null, after: readonly Frame[] = []): RangeCase {
  return { name, frames: [{ opcode: close, payload }, ...after], closedWith, goodbye: false, piece: 1 };
}

const closeHandshake: readonly RangeCase[] = [
  closes("close without a code", Buffer.alloc(0), null),
  wrong("close with half a code", [{ opcode: close, payload: Buffer.from([3]) }]),
  closes("close with a reason", closing(normal, "Hello, world!"), normal),
  closes("close with a reason of 123 bytes", closing(normal, letters(123)), normal),
  wrong("close with a reason of 124 bytes", [{ opcode: close, payload: closing(normal, letters(124)) }]),
  wrong(
    "close with a reason that is no text",
    [{ opcode: close, payload: closing(normal, euro.subarray(0, -1)) }],
    badData,
  ),
  wrong("close in fragments", [{ opcode: close, payload: closing(normal), fin: false }]),
  closes("text after close", closing(normal), normal, [{ opcode: text, payload: "too late" }]),
  closes("ping after close", closing(normal), normal, [{ opcode: ping }]),
  closes("a second close", closing(normal), normal, [{ opcode: close, payload: closing(4000) }]),
  {
    ...closes("close inside a fragmented message", closing(normal), normal),
    frames: [
      { opcode: text, payload: "never", fin: false },
      { opcode: close, payload: closing(normal) },
      { opcode: more, payload: " ended" },
    ],
  },
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map((code) =>
    closes(`close code ${code}`, closing(code, "said"), code),
  ),
  ...[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535].map((code) =>
    wrong(`close code ${code}, which nobody may send`, [{ opcode: close, payload: closing(code) }]),
  ),
];

const large: readonly RangeCase[] = [
  fine("a megabyte in one frame", [{ opcode: binary, payload: filler(1_048_576) }], 64_997),
  fine("four megabytes in frames of 64 KiB", fragments(binary, filler(4_194_304), 65_536), 99_991),
  fine("a quarter of a megabyte in frames of 64 bytes", fragments(binary, filler(262_144), 64), 9_973),
  fine(
    "five hundred messages of a kilobyte",
    Array.from({ length: 500 }, (_, at) => ({ opcode: text, payload: `${at}${letters(1024)}` })),
    7_919,
  ),
];

export const range: readonly RangeCase[] = [
  ...framing,
  ...lengths,
  ...pings,
  ...reservedBits,
  ...reservedOpcodes,
  ...masks,
  ...fragmentation,
  ...utf8,
  ...closeHandshake,
  ...large,
];

/** As permessage-deflate sends it (RFC 7692 §7.2.1). */
function deflated(payload: Uint8Array | string): Buffer {
  const whole = deflateRawSync(payload, { finishFlush: 2 });
  return whole.subarray(0, -4);
}

/** For a connection on which permessage-deflate was agreed: the first reserved bit is no longer wrong. */
export const compressed: readonly RangeCase[] = [
  ...[0, 1, 125, 126, 1000, 65_536].map((length) =>
    fine(
      `compressed text of ${length} bytes`,
      [{ opcode: text, payload: deflated(letters(length)), rsv: 4 }],
      length < 1000 ? 1 : 7,
    ),
  ),
  fine("compressed in fragments, the bit on the first only", [
    { opcode: text, payload: deflated("in three parts").subarray(0, 4), rsv: 4, fin: false },
    { opcode: more, payload: deflated("in three parts").subarray(4, 8), fin: false },
    { opcode: more, payload: deflated("in three parts").subarray(8) },
  ]),
  fine("a message that is not compressed", [{ opcode: text, payload: "plain" }]),
  wrong("the bit on a continuation", [
    { opcode: text, payload: deflated("in two").subarray(0, 4), rsv: 4, fin: false },
    { opcode: more, payload: deflated("in two").subarray(4), rsv: 4 },
  ]),
  wrong("the bit on a ping", [{ opcode: ping, payload: "x", rsv: 4 }]),
  wrong(
    "compressed text that is no text",
    [{ opcode: text, payload: deflated(Buffer.from("80", "hex")), rsv: 4 }],
    badData,
  ),
];

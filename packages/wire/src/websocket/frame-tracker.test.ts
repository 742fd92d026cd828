import { expect, test } from "bun:test";
import fc from "fast-check";
import { clientCloseFrame, goingAway, serverCloseFrame } from "./close-frame.ts";
import { FrameTracker } from "./frame-tracker.ts";

interface Frame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly length: number;
  readonly mask: number;
  /** How many bytes the length is written in: 0, 2 or 8 beyond the first. */
  readonly wide: 0 | 2 | 8;
}

/** Writes a frame by the letter of RFC 6455 §5.2, apart from the code under test. */
function encode({ fin, rsv, opcode, length, mask, wide }: Frame, masked: boolean): Uint8Array {
  const extended = wide === 0 && length > 125 ? (length > 0xffff ? 8 : 2) : wide;
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  head.push((masked ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127));
  for (let i = extended - 1; i >= 0; i--) head.push(Math.floor(length / 256 ** i) % 256);
  if (masked) head.push((mask >>> 24) & 255, (mask >>> 16) & 255, (mask >>> 8) & 255, mask & 255);
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  // Payload bytes that look like headers, so that a tracker that loses its place finds wrong ones.
  for (let i = head.length; i < bytes.length; i++) bytes[i] = i % 3 === 0 ? 0x88 : 0x02;
  return bytes;
}

const data: fc.Arbitrary<Frame> = fc.record({
  fin: fc.boolean(),
  rsv: fc.integer({ min: 0, max: 7 }),
  opcode: fc.constantFrom(0, 1, 2),
  length: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000)),
  mask: fc.nat(0xffffffff),
  wide: fc.constant(0 as const),
});
const control: fc.Arbitrary<Frame> = fc.record({
  fin: fc.constant(true),
  rsv: fc.constant(0),
  opcode: fc.constantFrom(9, 10),
  length: fc.integer({ min: 0, max: 125 }),
  mask: fc.nat(0xffffffff),
  wide: fc.constant(0 as const),
});

function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Positions at which a tracker that is fed in pieces says that a frame has just ended. */
function boundaries(bytes: Uint8Array, masked: boolean, cuts: readonly number[]): number[] {
  const tracker = new FrameTracker(masked);
  const found: number[] = [];
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    for (let at = from; at < to;) {
      const next = tracker.step(bytes, at, to);
      expect(next).toBeGreaterThan(at);
      expect(next).toBeLessThanOrEqual(to);
      at = next;
      if (tracker.atBoundary) found.push(at);
    }
    from = to;
  }
  expect(tracker.broken).toBe(false);
  return found;
}

test("whatever is sent and however it is cut, the boundaries are those of the frames", () => {
  const streams = fc.array(fc.oneof(data, control), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(streams, fc.boolean(), fc.array(fc.nat(0xffffffff), { maxLength: 20 }), (frames, masked, marks) => {
      const encoded = frames.map((frame) => encode(frame, masked));
      const bytes = join(encoded);
      const cuts = [...new Set(marks.map((mark) => mark % bytes.length))].sort((a, b) => a - b);
      let at = 0;
      const wanted = encoded.map((each) => (at += each.length));
      expect(boundaries(bytes, masked, cuts)).toEqual(wanted);
    }),
    { numRuns: 200 },
  );
});

test("split at every byte", () => {
  for (const masked of [false, true]) {
    const frames = [0, 1, 125, 126, 300].map((length, index) =>
      encode({ fin: index % 2 === 0, rsv: 4, opcode: index % 3, length, mask: 0xdeadbeef, wide: 0 }, masked),
    );
    const bytes = join([...frames, masked ? clientCloseFrame(1000, 7) : serverCloseFrame(1000)]);
    let at = 0;
    const wanted = [...frames.map((each) => (at += each.length)), bytes.length];
    for (let cut = 1; cut < bytes.length; cut++) expect(boundaries(bytes, masked, [cut])).toEqual(wanted);
    expect(
      boundaries(
        bytes,
        masked,
        Array.from({ length: bytes.length - 1 }, (_, i) => i + 1),
      ),
    ).toEqual(wanted);
  }
});

test("lengths written longer than they need to be are still lengths", () => {
  const frame = { fin: true, rsv: 0, opcode: 2, length: 5, mask: 0, wide: 8 } as const;
  const bytes = join([encode(frame, false), encode({ ...frame, wide: 2 }, false)]);
  expect(boundaries(bytes, false, [])).toEqual([15, 24]);
});

test("a close frame that has passed whole is seen, with and without a payload, and not before its end", () => {
  for (const masked of [false, true]) {
    for (const close of [
      masked ? clientCloseFrame(goingAway, 0x01020304) : serverCloseFrame(goingAway),
      encode({ fin: true, rsv: 0, opcode: 8, length: 0, mask: 1, wide: 0 }, masked),
      encode({ fin: true, rsv: 0, opcode: 8, length: 60, mask: 1, wide: 0 }, masked),
    ]) {
      const tracker = new FrameTracker(masked);
      tracker.skip(close, 0, close.length - 1);
      expect(tracker.closed).toBe(false);
      tracker.skip(close, close.length - 1, close.length);
      expect([tracker.closed, tracker.atBoundary]).toEqual([true, true]);
    }
  }
});

test("a frame put in at any boundary leaves every other frame as it was", () => {
  const streams = fc.array(fc.oneof(data, control), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(streams, fc.boolean(), fc.nat(), (frames, masked, choice) => {
      const encoded = frames.map((frame) => encode(frame, masked));
      const close = masked ? clientCloseFrame(goingAway, 0xa1b2c3d4) : serverCloseFrame(goingAway);
      const place = choice % (encoded.length + 1);
      const bytes = join([...encoded.slice(0, place), close, ...encoded.slice(place)]);
      const tracker = new FrameTracker(masked);
      let seen = 0;
      let closedAfter = -1;
      for (let at = 0; at < bytes.length;) {
        at = tracker.step(bytes, at, bytes.length);
        seen++;
        if (tracker.closed && closedAfter < 0) closedAfter = seen - 1;
      }
      expect([seen, closedAfter, tracker.atBoundary]).toEqual([frames.length + 1, place, true]);
    }),
    { numRuns: 200 },
  );
});

test("what is no frame breaks it, for good", () => {
  const wrong: readonly (readonly [name: string, masked: boolean, bytes: readonly number[]])[] = [
    ["a reserved data opcode", false, [0x83, 0]],
    ["a reserved control opcode", false, [0x8b, 0]],
    ["a fragmented close", false, [0x08, 0]],
    ["a ping of 126 bytes", false, [0x89, 126, 0, 126]],
    ["a masked frame from a server", false, [0x81, 0x81, 1, 2, 3, 4, 5]],
    ["an unmasked frame from a client", true, [0x81, 1, 65]],
    ["a length with its top bit set", false, [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]],
    ["HTTP", false, [...Buffer.from("HTTP/1.1 200 OK\r\n")]],
  ];
  for (const [name, masked, bytes] of wrong) {
    const tracker = new FrameTracker(masked);
    const all = Uint8Array.from(bytes);
    tracker.skip(all, 0, all.length);
    expect([name, tracker.broken, tracker.atBoundary, tracker.closed]).toEqual([name, true, false, false]);
    const more = serverCloseFrame(1000);
    expect(tracker.step(more, 0, more.length)).toBe(more.length);
    expect([tracker.broken, tracker.closed]).toEqual([true, false]);
  }
});

test("on any bytes it goes forward, never beyond the end, and cut or whole comes to the same", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), fc.nat(), (bytes, masked, mark) => {
      const whole = new FrameTracker(masked);
      whole.skip(bytes, 0, bytes.length);
      const cut = bytes.length === 0 ? 0 : mark % bytes.length;
      const pieces = new FrameTracker(masked);
      pieces.skip(bytes, 0, cut);
      pieces.skip(bytes, cut, bytes.length);
      expect([pieces.atBoundary, pieces.broken, pieces.closed]).toEqual([whole.atBoundary, whole.broken, whole.closed]);
    }),
    { numRuns: 500 },
  );
});

test("our close frames are what RFC 6455 says, byte for byte", () => {
  expect([...serverCloseFrame(1001)]).toEqual([0x88, 0x02, 0x03, 0xe9]);
  // 0x03 ^ 0x37 and 0xe9 ^ 0xfa, with the mask of the examples in §5.7.
  expect([...clientCloseFrame(1001, 0x37fa213d)]).toEqual([0x88, 0x82, 0x37, 0xfa, 0x21, 0x3d, 0x34, 0x13]);
});

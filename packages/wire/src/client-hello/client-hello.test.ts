import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ClientHelloReader, helloLimits } from "./reader.ts";
import { HelloViolation, helloViolations } from "./violations.ts";

/** What OpenSSL 3.0 sent: `s_client -servername shop.example -alpn h2,http/1.1`. */
const openssl = Buffer.from(
  "160301013b010001370303150a276a10cee171c97b21d538743ce44770eaa961f716397e4b2b6eebe626ce2016980256335d486d6e1f61" +
    "1813efc92c9d2de65737b15843de66dd6ece34daea003e130213031301c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023" +
    "c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff010000b000000011000f00000c73686f702e6578616d706c65" +
    "000b000403000102000a00060004001d0017002300000010000e000c02683208687474702f312e310016000000170000000d002a002804" +
    "0305030603080708080809080a080b080408050806040105010601030303010302040205020602002b0009080304030303020301002d00" +
    "020101003300260024001d002039b243801d76d91478dfb15b6a790e7741c838a3f0f6c0f018c95754469c6b15",
  "hex",
);

interface Parts {
  readonly version: number;
  readonly sessionId: number;
  readonly suites: readonly number[];
  readonly compression: readonly number[];
  /** null: the message ends before them. */
  readonly extensions: readonly (readonly [type: number, data: readonly number[]])[] | null;
}

const plain: Parts = { version: 0x0303, sessionId: 32, suites: [0x13, 0x01], compression: [0], extensions: [] };

function two(value: number): number[] {
  return [(value >> 8) & 255, value & 255];
}

function ascii(text: string): number[] {
  return [...Buffer.from(text, "latin1")];
}

/** A handshake message by the letter of RFC 8446, apart from the code under test. */
function message(parts: Partial<Parts> = {}): number[] {
  const { version, sessionId, suites, compression, extensions } = { ...plain, ...parts };
  const body = [...two(version), ...Array.from({ length: 32 }, (_, i) => i), sessionId];
  body.push(...Array.from({ length: sessionId }, () => 7), ...two(suites.length), ...suites);
  body.push(compression.length, ...compression);
  if (extensions !== null) {
    const all = extensions.flatMap(([type, data]) => [...two(type), ...two(data.length), ...data]);
    body.push(...two(all.length), ...all);
  }
  return [1, 0, ...two(body.length), ...body];
}

/** Puts a message into records of these sizes; the last takes what is left. */
function records(bytes: readonly number[], sizes: readonly number[] = []): Uint8Array {
  const out: number[] = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    const part = bytes.slice(at, at + size);
    at += part.length;
    if (part.length > 0) out.push(22, 3, 1, ...two(part.length), ...part);
  }
  return Uint8Array.from(out);
}

function serverName(name: string): [number, number[]] {
  return [0, [...two(name.length + 3), 0, ...two(name.length), ...ascii(name)]];
}

function alpn(...names: readonly string[]): [number, number[]] {
  const list = names.flatMap((name) => [name.length, ...ascii(name)]);
  return [16, [...two(list.length), ...list]];
}

function versions(...list: readonly number[]): [number, number[]] {
  return [43, [list.length * 2, ...list.flatMap(two)]];
}

/** What came of it, fed in pieces that end at `cuts`: the violation's words, "more", or what was asked for. */
function outcome(bytes: Uint8Array, cuts: readonly number[] = []): unknown {
  const reader = new ClientHelloReader();
  let used = 0;
  for (const to of [...cuts, bytes.length]) {
    if (reader.done || reader.violation !== 0) break;
    used = reader.step(bytes, used, to);
  }
  if (reader.violation !== 0) return helloViolations[reader.violation];
  return reader.done ? { used, ...reader.hello } : "more";
}

function words(name: keyof typeof HelloViolation): string {
  return helloViolations[HelloViolation[name]]!;
}

const nothing = { serverName: "", alpn: [], versions: [0x0303], ech: false, earlyData: false };

describe("what is asked for", () => {
  test("by OpenSSL", () => {
    expect(outcome(openssl)).toEqual({
      used: openssl.length,
      serverName: "shop.example",
      alpn: ["h2", "http/1.1"],
      versions: [0x0304, 0x0303, 0x0302, 0x0301],
      ech: false,
      earlyData: false,
    });
  });

  test("server name in lower case, protocols in the client's order, versions, ECH, early data", () => {
    const extensions = [
      serverName("WWW.Shop_1.Example"),
      alpn("h2", "\xff\x00", "http/1.1"),
      versions(0x0a0a, 0x0304),
      [0xfe0d, [0, 1, 2, 3]] as const,
      [42, []] as const,
      [21, Array.from({ length: 300 }, () => 0)] as const,
    ];
    expect(outcome(records(message({ extensions })))).toMatchObject({
      serverName: "www.shop_1.example",
      alpn: ["h2", "\xff\x00", "http/1.1"],
      versions: [0x0a0a, 0x0304],
      ech: true,
      earlyData: true,
    });
  });

  test("nothing, by clients that know no extensions", () => {
    const bytes = records(message({ version: 0x0301, sessionId: 0, extensions: null }));
    expect(outcome(bytes)).toEqual({ used: bytes.length, ...nothing, versions: [0x0301] });
    expect(outcome(records(message()))).toMatchObject(nothing);
  });

  test("the last byte read is that of its record: what follows belongs to somebody else", () => {
    const hello = records(message({ extensions: [serverName("a.b")] }));
    for (const rest of [[20, 3, 3, 0, 1, 1], [22], [255, 255]]) {
      expect(outcome(Uint8Array.from([...hello, ...rest]))).toMatchObject({ used: hello.length, serverName: "a.b" });
    }
  });
});

describe("cut up", () => {
  const whole = message({ extensions: [serverName("shop.example"), alpn("h2"), versions(0x0304)] });

  test("at every byte, by segments and by records", () => {
    const wanted = { ...nothing, serverName: "shop.example", alpn: ["h2"], versions: [0x0304] };
    for (let at = 1; at < whole.length; at++) {
      const bytes = records(whole, [at]);
      expect(outcome(bytes)).toEqual({ used: bytes.length, ...wanted });
      expect(outcome(bytes, [at])).toEqual({ used: bytes.length, ...wanted });
    }
    const bytes = records(
      whole,
      Array.from({ length: 20 }, () => 3),
    );
    const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
    expect(outcome(bytes, cuts)).toEqual({ used: bytes.length, ...wanted });
    for (const cut of cuts) expect(outcome(bytes.subarray(0, cut))).toBe("more");
  });

  test("whatever the bytes and the cuts, the outcome is the same, and it never reads beyond", () => {
    const extension = fc.oneof(
      fc.constantFrom(serverName("a.example"), alpn("h2", "x"), versions(0x0304, 0x0303), [42, []] as const),
      fc.tuple(fc.constantFrom(0, 16, 43, 0xfe0d, 7), fc.array(fc.nat(255), { maxLength: 12 })),
    );
    const hello = fc
      .tuple(
        fc.record(
          {
            version: fc.constantFrom(0x0300, 0x0301, 0x0303),
            sessionId: fc.constantFrom(0, 32, 33),
            extensions: fc.option(fc.array(extension, { maxLength: 5 })),
          },
          { requiredKeys: [] },
        ),
        fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 4 }),
      )
      .map(([parts, sizes]) => records(message(parts as Partial<Parts>), sizes));
    const changes = fc.array(fc.tuple(fc.nat(160), fc.nat(255)), { maxLength: 2 });
    const cutsOf = fc.array(fc.nat(1000), { maxLength: 6 });
    fc.assert(
      fc.property(
        fc.oneof(hello, fc.uint8Array()),
        changes,
        fc.uint8Array({ maxLength: 9 }),
        cutsOf,
        (bytes, edits, rest, marks) => {
          const all = Uint8Array.from([...bytes, ...rest]);
          for (const [at, byte] of edits) if (at < all.length) all[at] = byte;
          const once = outcome(all);
          const cuts = marks.map((mark) => mark % (all.length + 1)).sort((a, b) => a - b);
          expect(outcome(all, cuts)).toEqual(once);
          expect(
            outcome(
              all,
              Array.from(all, (_, i) => i),
            ),
          ).toEqual(once);
          if (typeof once !== "object") return;
          const { used } = once as { used: number };
          expect(outcome(all.subarray(0, used))).toEqual(once);
          expect(outcome(all.subarray(0, used - 1))).toBe("more");
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe("what is refused, and why", () => {
  const check = (bytes: Uint8Array, why: keyof typeof HelloViolation): void => {
    expect([Buffer.from(bytes).toString("latin1"), outcome(bytes)]).toEqual([
      Buffer.from(bytes).toString("latin1"),
      words(why),
    ]);
  };

  test("what is no TLS", () => {
    for (const text of [
      "GET / HTTP/1.1\r\n",
      "PROXY TCP4",
      "\x80\x2e\x01\x03\x01",
      "\x17\x03\x03\x00\x05hello",
      "\x16GET",
    ])
      check(Uint8Array.from(ascii(text)), "absent");
  });

  test("records", () => {
    const whole = message();
    check(Uint8Array.of(22, 3, 5), "recordVersion");
    check(Uint8Array.of(22, 3, 1, 0, 0), "recordEmpty");
    check(Uint8Array.of(22, 3, 1, 0x40, 0x01), "recordTooLong");
    check(Uint8Array.of(22, 3, 1, 0, 1, 2), "otherMessage");
    check(Uint8Array.of(22, 3, 1, 0, 4, 1, 0, 0x40, 1), "tooLong");
    check(Uint8Array.of(22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff), "tooLong");
    check(Uint8Array.from([...records(whole.slice(0, 9)), 21, 3, 1, 0, 2, 2, 40]), "recordType");
    check(Uint8Array.from([...records(whole.slice(0, 9)), 22, 4]), "recordVersion");
    check(records([...whole, 20]), "trailing");
    check(
      records(
        whole,
        Array.from({ length: helloLimits.records }, () => 1),
      ),
      "recordsTooMany",
    );
  });

  test("a length that is only announced reserves nothing, and its bytes are counted before they are kept", () => {
    const reader = new ClientHelloReader({ bytes: 100, records: 4 });
    const bytes = records(message({ extensions: [[21, Array.from({ length: 200 }, () => 0)]] }));
    reader.step(bytes, 0, bytes.length);
    expect([reader.done, reader.violation]).toEqual([false, HelloViolation.tooLong]);
    // It stands still from there on.
    expect(reader.step(bytes, 3, bytes.length)).toBe(3);
  });

  test("the message", () => {
    const short = (length: number): Uint8Array => {
      const whole = message();
      const body = whole.slice(4, 4 + length);
      return records([1, 0, ...two(body.length), ...body]);
    };
    check(short(34), "short");
    check(short(35 + 20), "short");
    check(short(35 + 32 + 2), "short");
    check(short(35 + 32 + 4), "short");
    check(records(message({ version: 0x0300 })), "version");
    check(records(message({ sessionId: 33 })), "sessionId");
    check(records(message({ suites: [] })), "cipherSuites");
    check(records(message({ suites: [1, 2, 3] })), "cipherSuites");
    check(records(message({ compression: [] })), "compression");
    check(records(message({ compression: [1] })), "compression");
    const cut = message({ extensions: [serverName("a.b")] });
    check(records([1, 0, ...two(cut.length - 5), ...cut.slice(4, -1)]), "extensionForm");
    const many = Array.from({ length: 65 }, (_, i) => [1000 + i, []] as const);
    check(records(message({ extensions: many })), "extensionsTooMany");
    expect(outcome(records(message({ extensions: many.slice(1) })))).toMatchObject(nothing);
    check(records(message({ extensions: [alpn("h2"), [9, []], alpn("h2")] })), "extensionTwice");
    check(
      records(
        message({
          extensions: [
            [9, []],
            [9, []],
          ],
        }),
      ),
      "extensionTwice",
    );
  });

  test("extensions", () => {
    const one = (type: number, data: readonly number[]): Uint8Array => records(message({ extensions: [[type, data]] }));
    const wrongNames: readonly (readonly number[])[] = [
      [],
      [0, 3, 0, 0, 0],
      [0, 5, 1, 0, 2, 97, 98],
      [0, 5, 0, 0, 3, 97, 98],
      [0, 4, 0, 0, 2, 97, 98],
      [0, 5, 0, 0, 1, 97, 98],
      // Two names.
      [0, 8, 0, 0, 1, 97, 0, 0, 1, 98],
    ];
    for (const data of wrongNames) check(one(0, data), "serverName");
    for (const name of [
      "a b",
      "a\0b",
      ".a",
      "a.",
      "a..b",
      "a/b",
      "a:443",
      "[::1]",
      "\xe4.example",
      "*.example",
      "a".repeat(254),
    ])
      check(records(message({ extensions: [serverName(name)] })), "serverNameByte");
    expect(outcome(records(message({ extensions: [serverName("a".repeat(253))] })))).toMatchObject({});
    for (const data of [[], [0, 0], [0, 1, 0], [0, 3, 2, 97, 98, 0], [0, 3, 3, 97, 98], [0, 4, 2, 97, 98, 0]])
      check(one(16, data), "alpn");
    check(records(message({ extensions: [alpn(...Array.from({ length: 33 }, () => "x"))] })), "alpn");
    for (const data of [[], [0], [1, 3], [2, 3], [3, 3, 4, 3], [4, 3, 4]]) check(one(43, data), "versions");
    check(one(0xfe0d, []), "ech");
    check(one(0xfe0d, [1]), "ech");
  });
});

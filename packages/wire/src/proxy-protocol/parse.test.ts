import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { crc32c } from "./crc32c.ts";
import { ProxyHeader } from "./header.ts";
import { parseProxyHeader, proxyHeaderLimit } from "./parse.ts";
import { ProxyViolation, proxyViolations } from "./violations.ts";

const sign = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

/** A version 2 header by the letter of the specification, apart from the writer under test. */
function binary(command: number, family: number, body: readonly number[], length = body.length): Uint8Array {
  return Uint8Array.from([...sign, command, family, length >> 8, length & 255, ...body]);
}

function tlv(type: number, value: readonly number[] | string): number[] {
  const bytes = typeof value === "string" ? [...bytesOf(value)] : value;
  return [type, bytes.length >> 8, bytes.length & 255, ...bytes];
}

const four = [192, 0, 2, 1, 198, 51, 100, 2, 0xdd, 0xd5, 0x01, 0xbb];
const six = [0x20, 1, 0xd, 0xb8, ...Array.from({ length: 11 }, () => 0), 1].flatMap((b) => [b]);
const sixPair = [...six, ...six.slice(0, 15), 2, 0x10, 0x00, 0x00, 0x50];

/** What came of it: the violation's words, "more", or what the header says. */
function outcome(bytes: Uint8Array, from = 0, to = bytes.length): unknown {
  const header = new ProxyHeader();
  const position = parseProxyHeader(bytes, from, to, header);
  if (position === 0) return "more";
  if (position < 0) return proxyViolations[-position];
  return { used: position - from, ...header };
}

function words(name: keyof typeof ProxyViolation): string {
  return proxyViolations[ProxyViolation[name]]!;
}

describe("version 1", () => {
  test("addresses in their canonical spelling", () => {
    const line = "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n";
    expect(outcome(bytesOf(line + "GET"))).toMatchObject({
      used: line.length,
      version: 1,
      local: false,
      family: "ip",
      source: "192.0.2.1",
      sourcePort: 56789,
      destination: "198.51.100.2",
      destinationPort: 443,
    });
    expect(outcome(bytesOf("PROXY TCP6 2001:DB8:0:0::1 ::ffff:10.0.0.1 0 65535\r\n"))).toMatchObject({
      source: "2001:db8::1",
      destination: "10.0.0.1",
      sourcePort: 0,
      destinationPort: 65_535,
    });
  });

  test("UNKNOWN speaks for nobody, whatever follows it", () => {
    for (const rest of ["", " ", " ffff::1 x 99999"]) {
      const line = `PROXY UNKNOWN${rest}\r\n`;
      expect(outcome(bytesOf(line))).toMatchObject({ used: line.length, family: "none", source: "", local: false });
    }
  });

  test("the longest line there is: 107 bytes with its end, and none beyond", () => {
    const v6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    const longest = `PROXY UNKNOWN ${v6} ${v6} 65535 65535\r\n`;
    expect(longest).toHaveLength(107);
    expect(outcome(bytesOf(longest))).toMatchObject({ used: 107 });
    expect(outcome(bytesOf(longest.replace("\r\n", "5\r\n")))).toBe(words("lineTooLong"));
    expect(outcome(bytesOf(`PROXY UNKNOWN ${"a".repeat(500)}`))).toBe(words("lineTooLong"));
  });

  test("what is refused, and why", () => {
    const wrong: readonly (readonly [line: string, why: keyof typeof ProxyViolation])[] = [
      ["PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "protocol"],
      ["PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "protocol"],
      ["PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "protocol"],
      ["PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "protocol"],
      ["PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "lineForm"],
      ["PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "lineForm"],
      ["PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", "lineForm"],
      ["PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", "address"],
      ["PROXY TCP4 ::1 ::1 1 2\r\n", "address"],
      ["PROXY TCP4 ::ffff:1.2.3.4 1.2.3.4 1 2\r\n", "address"],
      ["PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "address"],
      ["PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "address"],
      ["PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "port"],
      ["PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "port"],
      ["PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "port"],
      ["PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "lineEnd"],
      ["PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX", "lineEnd"],
      ["PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n", "lineByte"],
      ["PROXY TCP4 1.2.3.4\x00 1.2.3.4 1 2\r\n", "lineByte"],
      ["PROXY TCP4 1.2.3.4 1.2.3.4 \xb2 2\r\n", "lineByte"],
    ];
    for (const [line, why] of wrong) expect([line, outcome(bytesOf(line))]).toEqual([line, words(why)]);
  });
});

describe("version 2", () => {
  test("IPv4, IPv6, datagrams and Unix sockets", () => {
    expect(outcome(binary(0x21, 0x11, four))).toMatchObject({
      used: 28,
      version: 2,
      family: "ip",
      datagram: false,
      source: "192.0.2.1",
      sourcePort: 56789,
      destination: "198.51.100.2",
      destinationPort: 443,
    });
    expect(outcome(binary(0x21, 0x22, sixPair))).toMatchObject({
      used: 52,
      datagram: true,
      source: "2001:db8::1",
      sourcePort: 4096,
      destination: "2001:db8::2",
      destinationPort: 80,
    });
    const path = (text: string): number[] => [...bytesOf(text.padEnd(108, "\0"))];
    expect(outcome(binary(0x21, 0x31, [...path("/run/a"), ...path("\0hidden")]))).toMatchObject({
      used: 232,
      family: "unix",
      source: "/run/a",
      destination: "@hidden",
    });
  });

  test("LOCAL and unspecified families are skipped by their length, whatever they hold", () => {
    expect(outcome(binary(0x20, 0x00, []))).toMatchObject({ used: 16, local: true, family: "none" });
    expect(outcome(binary(0x20, 0x11, [1, 2, 3]))).toMatchObject({ used: 19, local: true, family: "none" });
    for (const family of [0x00, 0x01, 0x10, 0x20]) {
      expect(outcome(binary(0x21, family, [255, 255, 255]))).toMatchObject({ used: 19, local: false, family: "none" });
    }
  });

  test("every TLV that is understood", () => {
    const ssl = [
      0x07,
      0,
      0,
      0,
      0,
      ...tlv(0x21, "TLSv1.3"),
      ...tlv(0x22, "Jane Doe"),
      ...tlv(0x23, "TLS_AES_128_GCM_SHA256"),
    ];
    ssl.push(...tlv(0x24, "SHA256"), ...tlv(0x25, "RSA2048"), ...tlv(0x28, "der"));
    const body = [...four, ...tlv(1, "h2"), ...tlv(2, "shop.example"), ...tlv(4, "pad"), ...tlv(5, [0, 255, 1])];
    body.push(...tlv(0x20, ssl), ...tlv(0xea, "vpce-0"), ...tlv(4, ""));
    expect(outcome(binary(0x21, 0x11, body))).toMatchObject({
      used: 16 + body.length,
      alpn: "h2",
      authority: "shop.example",
      uniqueId: Uint8Array.of(0, 255, 1),
      tls: {
        spoken: true,
        certificate: true,
        verified: true,
        version: "TLSv1.3",
        commonName: "Jane Doe",
        cipher: "TLS_AES_128_GCM_SHA256",
        signatureAlgorithm: "SHA256",
        keyAlgorithm: "RSA2048",
      },
    });
    const unverified = binary(0x21, 0x11, [...four, ...tlv(0x20, [0x01, 0, 0, 0, 0])]);
    expect(outcome(unverified)).toMatchObject({ tls: { spoken: true, certificate: false, verified: false } });
    const invalid = binary(0x21, 0x11, [...four, ...tlv(0x20, [0x03, 0, 0, 0, 20])]);
    expect(outcome(invalid)).toMatchObject({ tls: { certificate: true, verified: false } });
  });

  test("the unique id is a copy, also out of a Buffer", () => {
    const bytes = Buffer.from(binary(0x21, 0x11, [...four, ...tlv(5, [1, 2, 3])]));
    const header = new ProxyHeader();
    expect(parseProxyHeader(bytes, 0, bytes.length, header)).toBe(bytes.length);
    bytes.fill(0);
    expect(header.uniqueId).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("a header of before leaves nothing behind in the next", () => {
    const header = new ProxyHeader();
    const full = binary(0x21, 0x11, [
      ...four,
      ...tlv(1, "h2"),
      ...tlv(2, "a"),
      ...tlv(5, "u"),
      ...tlv(0x20, [1, 0, 0, 0, 0]),
    ]);
    expect(parseProxyHeader(full, 0, full.length, header)).toBe(full.length);
    const local = binary(0x20, 0, []);
    expect(parseProxyHeader(local, 0, local.length, header)).toBe(16);
    expect({ ...header }).toEqual({ ...new ProxyHeader(), local: true });
  });

  test("the checksum is that of RFC 3720, over the whole header", () => {
    expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa);
    expect(crc32c(bytesOf("123456789"), 0, 9)).toBe(0xe3069283);
    const header = binary(0x21, 0x11, [...four, ...tlv(3, [0, 0, 0, 0]), ...tlv(2, "a")]);
    new DataView(header.buffer).setUint32(31, crc32c(header, 0, header.length));
    expect(outcome(header)).toMatchObject({ authority: "a" });
    for (let i = 12; i < header.length; i++) {
      // The TLV's own type: with another there is no checksum.
      if (i === 28) continue;
      const damaged = header.slice();
      damaged[i]! ^= 0x04;
      expect([i, typeof outcome(damaged)]).toEqual([i, "string"]);
    }
  });

  test("what is refused, and why", () => {
    const wrong: readonly (readonly [header: Uint8Array, why: keyof typeof ProxyViolation])[] = [
      [binary(0x11, 0x11, four), "version"],
      [binary(0x31, 0x11, four), "version"],
      [binary(0x22, 0x11, four), "command"],
      [binary(0x21, 0x41, four), "family"],
      [binary(0x21, 0x13, four), "family"],
      [binary(0x20, 0xff, four), "family"],
      [binary(0x21, 0x11, four.slice(1)), "addressLength"],
      [binary(0x21, 0x21, four), "addressLength"],
      [binary(0x21, 0x11, [...four, 4]), "tlvForm"],
      [binary(0x21, 0x11, [...four, 4, 0, 1]), "tlvForm"],
      [binary(0x21, 0x11, [...four, ...tlv(2, "a"), ...tlv(2, "a")]), "tlvTwice"],
      [binary(0x21, 0x11, [...four, ...tlv(3, [1, 2, 3])]), "checksumForm"],
      [binary(0x21, 0x11, [...four, ...tlv(3, [1, 2, 3, 4])]), "checksum"],
      [binary(0x21, 0x11, [...four, ...tlv(1, "")]), "alpn"],
      [binary(0x21, 0x11, [...four, ...tlv(2, "")]), "authority"],
      [binary(0x21, 0x11, [...four, ...tlv(2, "a".repeat(256))]), "authority"],
      [binary(0x21, 0x11, [...four, ...tlv(2, "a\r\nx")]), "authority"],
      [binary(0x21, 0x11, [...four, ...tlv(5, "a".repeat(129))]), "uniqueId"],
      [binary(0x21, 0x11, [...four, ...tlv(0x20, [1, 0, 0, 0])]), "tlsForm"],
      [binary(0x21, 0x11, [...four, ...tlv(0x20, [1, 0, 0, 0, 0, 0x21])]), "tlsForm"],
      [binary(0x21, 0x11, [...four, ...tlv(0x20, [1, 0, 0, 0, 0, 0x21, 0, 9, 65])]), "tlsForm"],
      [binary(0x21, 0x11, [...four, ...tlv(0x20, [1, 0, 0, 0, 0, ...tlv(0x22, "a\nb")])]), "tlsForm"],
      [binary(0x21, 0x11, [...four, ...tlv(0x20, [1, 0, 0, 0, 0, ...tlv(0x22, "a"), ...tlv(0x22, "b")])]), "tlvTwice"],
      [binary(0x21, 0x11, [], 65_535), "tooLong"],
      [binary(0x20, 0x00, [], proxyHeaderLimit - 15), "tooLong"],
    ];
    for (const [header, why] of wrong)
      expect([Buffer.from(header).toString("hex"), outcome(header)]).toEqual([
        Buffer.from(header).toString("hex"),
        words(why),
      ]);
    expect(outcome(binary(0x20, 0x00, [], proxyHeaderLimit - 16))).toBe("more");
  });
});

describe("whatever it is", () => {
  test("what begins with something else is told by the first byte that says so", () => {
    for (const text of [
      "GET / HTTP/1.1\r\n",
      "\x16\x03\x01",
      "PRI * HTTP/2.0\r\n",
      "PROXX",
      "PROXY\t",
      "\r\n\r\nGET",
      "\n",
    ]) {
      expect([text, outcome(bytesOf(text))]).toEqual([text, words("absent")]);
    }
    for (const text of ["", "P", "PROXY", "PROXY ", "\r", "\r\n\r\n\0\r\nQUIT"])
      expect(outcome(bytesOf(text))).toBe("more");
  });

  const header = fc.oneof(
    fc.constantFrom(
      bytesOf("PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n"),
      bytesOf("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"),
      bytesOf("PROXY UNKNOWN\r\n"),
      binary(0x20, 0, []),
      binary(0x21, 0x11, [
        ...four,
        ...tlv(1, "h2"),
        ...tlv(2, "shop.example"),
        ...tlv(0x20, [1, 0, 0, 0, 0, ...tlv(0x21, "TLSv1.2")]),
      ]),
      binary(0x21, 0x21, [...sixPair, ...tlv(5, "id")]),
    ),
    fc.uint8Array({ maxLength: 60 }).map((body) => binary(0x21, 0x11, [...four, ...body])),
    fc.uint8Array({ maxLength: 130 }),
  );
  const mutated = fc
    .tuple(header, fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 3 }), fc.uint8Array({ maxLength: 20 }))
    .map(([bytes, changes, rest]) => {
      const all = Uint8Array.from([...bytes, ...rest]);
      for (const [at, byte] of changes) if (at < all.length) all[at] = byte;
      return all;
    });

  test("split at every byte the outcome is the same, and comes as soon as it can", () => {
    fc.assert(
      fc.property(mutated, fc.nat(40), (bytes, before) => {
        const padded = new Uint8Array(before + bytes.length).fill(0x50);
        padded.set(bytes, before);
        const whole = outcome(bytes);
        let first: unknown = "more";
        for (let to = before; to <= padded.length; to++) {
          const seen = outcome(padded, before, to);
          if (first === "more") first = seen;
          else expect(seen).toEqual(first);
        }
        expect(first).toEqual(whole);
      }),
      { numRuns: 2000 },
    );
  });

  test("nothing beyond the header or the limit is looked at", () => {
    fc.assert(
      fc.property(mutated, fc.uint8Array({ minLength: 1, maxLength: 8 }), (bytes, other) => {
        const position = parseProxyHeader(bytes, 0, bytes.length, new ProxyHeader());
        if (position <= 0) return;
        const changed = Uint8Array.from([...bytes.subarray(0, position), ...other]);
        expect(outcome(changed)).toEqual(outcome(bytes.subarray(0, position)));
      }),
      { numRuns: 1000 },
    );
  });
});

import { expect, test } from "bun:test";
import fc from "fast-check";
import { ProxyHeader } from "./header.ts";
import { parseProxyHeader } from "./parse.ts";
import { writeProxyHeader, writeProxyLine, writeProxyLocal } from "./write.ts";

const addresses = { source: "192.0.2.1", sourcePort: 56789, destination: "198.51.100.2", destinationPort: 443 };

function read(bytes: Uint8Array): ProxyHeader {
  const header = new ProxyHeader();
  expect(parseProxyHeader(bytes, 0, bytes.length, header)).toBe(bytes.length);
  return header;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test("lines, letter for letter", () => {
  const text = (from: Parameters<typeof writeProxyLine>[0]): string => Buffer.from(writeProxyLine(from)).toString();
  expect(text(addresses)).toBe("PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n");
  expect(text({ ...addresses, source: "2001:DB8::0:1", destination: "::1" })).toBe(
    "PROXY TCP6 2001:db8::1 ::1 56789 443\r\n",
  );
  expect(text({ ...addresses, source: "2001:db8::1" })).toBe(
    "PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 56789 443\r\n",
  );
  expect(text({ ...addresses, source: "" })).toBe("PROXY UNKNOWN\r\n");
});

test("headers, byte for byte", () => {
  const signature = "0d0a0d0a000d0a515549540a";
  expect(hex(writeProxyLocal())).toBe(`${signature}20000000`);
  expect(hex(writeProxyHeader(addresses))).toBe(`${signature}2111000cc0000201c6336402ddd501bb`);
  expect(hex(writeProxyHeader(addresses, { datagram: true, alpn: "h2" }))).toBe(
    `${signature}21120011c0000201c6336402ddd501bb0100026832`,
  );
  expect(hex(writeProxyHeader({ ...addresses, source: "/run/app" }, { alpn: "h2" }))).toBe(`${signature}21000000`);
});

test("what is written is what is read", () => {
  const ip = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((text) => !text.includes(".")),
  );
  const word = fc.string({ unit: fc.constantFrom(..."aZ09.-_ é".split("")), maxLength: 40 });
  const tls = fc.record({
    spoken: fc.boolean(),
    certificate: fc.boolean(),
    verified: fc.boolean(),
    version: word,
    cipher: word,
    commonName: word,
    signatureAlgorithm: word,
    keyAlgorithm: word,
  });
  const options = fc.record({
    datagram: fc.boolean(),
    checksum: fc.boolean(),
    alpn: word,
    authority: word,
    uniqueId: fc.option(fc.uint8Array({ maxLength: 128 })),
    tls: fc.option(tls),
  });
  fc.assert(
    fc.property(ip, ip, fc.nat(65_535), fc.nat(65_535), options, (source, destination, from, to, extra) => {
      const written = { source, destination, sourcePort: from, destinationPort: to };
      const header = read(writeProxyHeader(written, extra));
      const verified = extra.tls !== null && extra.tls.certificate && extra.tls.verified;
      expect({ ...header }).toMatchObject({
        version: 2,
        family: "ip",
        local: false,
        datagram: extra.datagram,
        sourcePort: from,
        destinationPort: to,
        alpn: extra.alpn,
        authority: extra.authority,
        uniqueId: extra.uniqueId,
        tls: extra.tls === null ? null : { ...extra.tls, verified },
      });
      const line = read(writeProxyLine(written));
      expect([line.source, line.destination, line.sourcePort]).toEqual([header.source, header.destination, from]);
      // Written again it is the same: addresses have one spelling.
      expect(hex(writeProxyLine({ ...line }))).toBe(hex(writeProxyLine(written)));
    }),
    { numRuns: 1000 },
  );
});

test("values that no receiver takes are cut, so that the header stays whole", () => {
  const header = writeProxyHeader(addresses, { uniqueId: new Uint8Array(70_000), alpn: "a".repeat(70_000) });
  expect(header.length).toBeLessThan(4096);
});

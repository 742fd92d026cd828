import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatIpAddress, formatIpv4 } from "./format.ts";
import { isIpv4Mapped, parseIpAddress, parseIpv4 } from "./parse.ts";

const spellings: readonly (readonly [written: string, canonical: string])[] = [
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["0.0.0.0", "0.0.0.0"],
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["fe80::1%eth0", "fe80::1"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
];

test("each address has one spelling (RFC 5952)", () => {
  for (const [written, canonical] of spellings) {
    const bytes = parseIpAddress(written);
    expect([written, bytes && formatIpAddress(bytes, 0)]).toEqual([written, canonical]);
  }
});

test("what could be read in two ways is no address", () => {
  const wrong = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.256",
    "1.2.3.4 ",
    "0x1.2.3.4",
    "1::2::3",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "::1.2.3",
    "g::",
    "::1%",
  ];
  for (const text of wrong) expect([text, parseIpAddress(text)]).toEqual([text, null]);
});

test("sixteen bytes, written and read again, are the same", () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const bytes = Uint8Array.from(groups.flatMap((each) => [each >> 8, each & 255]));
      expect(parseIpAddress(formatIpAddress(bytes, 0))).toEqual(bytes);
    }),
    { numRuns: 1000 },
  );
});

test("IPv4 at any place in a buffer", () => {
  expect(formatIpv4(Uint8Array.of(9, 10, 0, 255, 1), 1)).toBe("10.0.255.1");
  expect(parseIpv4("x10.0.255.1y", 1, 11)).toBe(0x0a00ff01);
  expect(isIpv4Mapped(parseIpAddress("10.0.0.1")!)).toBe(true);
  expect(isIpv4Mapped(parseIpAddress("::1")!)).toBe(false);
});

import { describe, expect, test } from "bun:test";
import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { parseIpAddress } from "@plimsoll/wire/ip-address";
import { CidrSet, overlaps, parseCidr, type Cidr } from "./cidr.ts";

/** Few distinct values, so that ranges and addresses meet often. */
const byte = fc.oneof(fc.constantFrom(0, 10, 127, 128, 255), fc.integer({ min: 0, max: 255 }));
const v4 = fc.tuple(byte, byte, byte, byte).map((parts) => parts.join("."));
const group = fc.oneof(fc.constantFrom(0, 0, 1, 0x2001, 0xdb8, 0xfe80, 0xffff), fc.integer({ min: 0, max: 0xffff }));
const groups = fc.array(group, { minLength: 8, maxLength: 8 });

/** One of the many spellings of an IPv6 address: shortened at any run of zeros or nowhere, any case, leading zeros. */
const v6 = fc
  .tuple(groups, fc.nat(7), fc.nat(8), fc.boolean(), fc.boolean(), fc.boolean())
  .map(([list, from, length, upper, padded, dotted]) => {
    const texts = list.map((value) => value.toString(16).padStart(padded ? 4 : 1, "0"));
    const tail = `${list[6]! >> 8}.${list[6]! & 255}.${list[7]! >> 8}.${list[7]! & 255}`;
    const to = Math.min(8, from + length);
    const zeros = to > from && list.slice(from, to).every((value) => value === 0);
    const head = dotted && (!zeros || to <= 6) ? [...texts.slice(0, 6), tail] : texts;
    const text = zeros ? `${head.slice(0, from).join(":")}::${head.slice(to).join(":")}` : head.join(":");
    return upper ? text.toUpperCase() : text;
  });
const mapped = v4.map((text) => "::ffff:" + text);
const cidr4 = fc.tuple(v4, fc.integer({ min: 0, max: 32 }));
/** Mapped ranges are IPv4 here and IPv6 for BlockList: they have a test of their own. */
const cidr6 = fc
  .tuple(v6, fc.integer({ min: 0, max: 128 }))
  .filter(([net, bits]) => parseCidr(`${net}/${bits}`)?.family === 6);

const parsed = (text: string): Cidr => parseCidr(text) ?? expect.unreachable(text);

describe("parseIpAddress", () => {
  test("accepts exactly what node:net calls an address", () => {
    const junk = fc.string({ unit: fc.constantFrom(..."0123456789abcfF.:%x "), maxLength: 24 });
    const text = fc.oneof(
      v4,
      v6,
      mapped,
      junk,
      fc
        .tuple(fc.oneof(v4, v6), fc.nat(40), fc.constantFrom(":", ".", "0", "", "g"))
        .map(([good, at, insert]) => good.slice(0, at) + insert + good.slice(at + 1)),
    );
    fc.assert(
      fc.property(text, (value) => {
        if (value.includes("%")) return; // zones have their own test
        expect({ value, is: parseIpAddress(value) !== null }).toEqual({ value, is: isIP(value) !== 0 });
      }),
      { numRuns: 3000 },
    );
  });

  test("reads every spelling of one address as the same bytes", () => {
    const bytes = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 2, 1];
    for (const text of [
      "2001:db8::c000:201",
      "2001:DB8::C000:0201",
      "2001:0db8:0000:0000:0000:0000:c000:0201",
      "2001:db8:0:0::192.0.2.1",
      "2001:db8::0:192.0.2.1",
      "2001:db8::192.0.2.1%eth0",
    ]) {
      expect([...(parseIpAddress(text) ?? [])]).toEqual(bytes);
    }
  });

  test("refuses what other programs read in several ways", () => {
    for (const text of [
      "010.0.0.1",
      "10.1",
      "0x0a.0.0.1",
      "167772161",
      "1.2.3.4 ",
      "1.2.3.256",
      "::1%",
      ":::",
      "1::2::3",
      "1:2",
      "",
    ]) {
      expect({ text, bytes: parseIpAddress(text) }).toEqual({ text, bytes: null });
    }
  });
});

describe("parseCidr", () => {
  test("refuses prefixes that are none", () => {
    for (const text of [
      "10.0.0.0/33",
      "::/129",
      "10.0.0.0/",
      "10.0.0.0/08",
      "10.0.0.0/-1",
      "10.0.0.0/8/8",
      "a/8",
      "fe80::%1/64",
      "",
    ]) {
      expect({ text, cidr: parseCidr(text) }).toEqual({ text, cidr: null });
    }
  });

  test("ignores bits beyond the prefix", () => {
    expect(parsed("10.1.2.3/8")).toEqual(parsed("10.0.0.0/8"));
    expect(parsed("2001:db8:ffff::/33")).toEqual(parsed("2001:db8:8000::/33"));
  });

  test("a mapped range is an IPv4 range", () => {
    expect(parsed("::ffff:10.0.0.0/104")).toEqual(parsed("10.0.0.0/8"));
  });
});

describe("CidrSet", () => {
  test("agrees with node:net's BlockList", () => {
    fc.assert(
      fc.property(
        fc.array(cidr4, { maxLength: 12 }),
        fc.array(cidr6, { maxLength: 12 }),
        fc.array(fc.oneof(v4, v6), { maxLength: 20 }),
        (fours, sixes, addresses) => {
          const oracle4 = new BlockList();
          const oracle6 = new BlockList();
          for (const [net, bits] of fours) oracle4.addSubnet(net, bits, "ipv4");
          for (const [net, bits] of sixes) oracle6.addSubnet(net, bits, "ipv6");
          const set = new CidrSet([...fours, ...sixes].map(([net, bits]) => parsed(`${net}/${bits}`)));
          // Addresses of the ranges themselves hit far more often than random ones.
          for (const text of [...addresses, ...fours.map(([net]) => net), ...sixes.map(([net]) => net)]) {
            if (/^0*(?::0*){0,5}:?:ffff:/i.test(text)) continue; // mapped spellings: next test
            const expected = isIP(text) === 4 ? oracle4.check(text, "ipv4") : oracle6.check(text, "ipv6");
            expect({ text, in: set.contains(text) }).toEqual({ text, in: expected });
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  test("a mapped address is in the set exactly if the IPv4 address is", () => {
    fc.assert(
      fc.property(fc.array(cidr4, { minLength: 1, maxLength: 5 }), v4, (ranges, address) => {
        const set = new CidrSet(ranges.map(([net, bits]) => parsed(`${net}/${bits}`)));
        for (const text of [address, ...ranges.map(([net]) => net)]) {
          expect(set.contains("::ffff:" + text)).toBe(set.contains(text));
        }
      }),
    );
  });

  test("::/0 holds no IPv4 client, 0.0.0.0/0 no IPv6 one", () => {
    const six = new CidrSet([parsed("::/0")]);
    expect([six.contains("1.2.3.4"), six.contains("::ffff:1.2.3.4"), six.contains("::1")]).toEqual([
      false,
      false,
      true,
    ]);
    const four = new CidrSet([parsed("0.0.0.0/0")]);
    expect([four.contains("1.2.3.4"), four.contains("::ffff:1.2.3.4"), four.contains("::1")]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("knows the first and the last address of a range, and their neighbours", () => {
    const set = new CidrSet([parsed("10.0.0.0/30"), parsed("10.0.0.8/32"), parsed("255.255.255.255")]);
    const inside = ["10.0.0.0", "10.0.0.3", "10.0.0.8", "255.255.255.255"];
    const outside = ["9.255.255.255", "10.0.0.4", "10.0.0.7", "10.0.0.9", "255.255.255.254", "", "name", "10.0.0"];
    expect(inside.map((text) => set.contains(text))).toEqual(inside.map(() => true));
    expect(outside.map((text) => set.contains(text))).toEqual(outside.map(() => false));
  });

  test("an empty set holds nobody, the empty text included", () => {
    const set = new CidrSet([]);
    expect([set.contains(""), set.contains("10.0.0.1"), set.contains("::")]).toEqual([false, false, false]);
  });

  test("the kept answer belongs to the last address only", () => {
    const set = new CidrSet([parsed("10.0.0.0/8")]);
    const asked = ["10.0.0.1", "10.0.0.1", "11.0.0.1", "11.0.0.1", "10.0.0.1"];
    expect(asked.map((text) => set.contains(text))).toEqual([true, true, false, false, true]);
  });
});

test("overlaps: ranges are nested or apart", () => {
  fc.assert(
    fc.property(cidr4, cidr4, ([netA, bitsA], [netB, bitsB]) => {
      const a = parsed(`${netA}/${bitsA}`);
      const b = parsed(`${netB}/${bitsB}`);
      const nested = new CidrSet([a]).contains(netB) || new CidrSet([b]).contains(netA);
      expect(overlaps(a, b)).toBe(nested);
      expect(overlaps(b, a)).toBe(nested);
    }),
  );
  expect(overlaps(parsed("::/0"), parsed("10.0.0.0/8"))).toBe(false);
});

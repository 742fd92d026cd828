import { expect, test } from "bun:test";
import { testAuthority } from "@plimsoll/testbed/authority";
import fc from "fast-check";
import { derName, derTime, readDer } from "./der.ts";
import { judgeRevocations } from "./revocations.ts";
import { day } from "./validity.ts";

// Whole seconds: a list's times have no parts of them.
const now = Math.floor(Date.now() / 1000) * 1000;
const authority = await testAuthority("Partners");
const other = await testAuthority("Others");
const good = await authority.revokeNobody(now - day, now + 30 * day);

const told = (pem: string, authorities = authority.cert) =>
  judgeRevocations(pem, authorities, now).map(({ severity, trouble }) => `${severity} ${trouble}`);

test("a list that holds, of the authority that is trusted: nothing to tell", async () => {
  expect(told(good)).toEqual([]);
  expect(told(await authority.revoke(await authority.issueClient("robot")))).toEqual([]);
  expect(told(`# fetched at night\n${good}`)).toEqual([]);
  // The authorities could not be read: that is told at their own place.
  expect(told(good, "")).toEqual([]);
});

test("no list, or one that the runtime would not take, is an error", () => {
  expect(told("")).toEqual(["error unreadable"]);
  expect(told(authority.cert)).toEqual(["error unreadable"]);
  const [begin = "", first = "", ...rest] = good.split("\n");
  expect(told([begin, `AAAA${first.slice(4)}`, ...rest].join("\n"))).toEqual(["error unreadable"]);
  const [finding] = judgeRevocations(`${good}-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n`, "", now);
  expect(finding).toMatchObject({
    severity: "error",
    message: `the revocation list in line ${good.split("\n").length} cannot be read`,
  });
  expect(finding?.hint).toContain("openssl crl");
});

test("one that is over, that is so soon, or that does not hold yet: clients would be refused, revoked or not", async () => {
  const [over] = judgeRevocations(await authority.revokeNobody(now - 9 * day, now - 2 * day), authority.cert, now);
  expect(over).toMatchObject({ severity: "warning", trouble: "expired" });
  expect(over?.message).toMatch(/^the revocation list of CN=Partners is over since .* UTC, 2 days ago$/);
  expect(over?.why).toContain("are refused");
  expect(told(await authority.revokeNobody(now - 29 * day, now + 3 * day))).toEqual(["warning expires-soon"]);
  // A list of a day that is renewed every hour always has less than a week left.
  expect(told(await authority.revokeNobody(now - day / 2, now + day / 2))).toEqual([]);
  expect(told(await authority.revokeNobody(now + day, now + 9 * day))).toEqual(["warning not-yet-valid"]);
});

test("every authority needs a list, and a list of nobody has no effect", async () => {
  const [missing] = judgeRevocations(good, authority.cert + other.cert, now);
  expect(missing).toMatchObject({ trouble: "no-revocations", message: "it holds no list of the authority CN=Others" });
  expect(told(good + (await other.revokeNobody(now, now + 9 * day)), authority.cert + other.cert)).toEqual([]);
  expect(told(good, other.cert)).toEqual(["warning no-revocations", "warning stray-revocations"]);
});

test("times and names of RFC 5280", () => {
  const time = (tag: number, text: string) => derTime({ tag, content: Buffer.from(text) });
  expect(time(0x17, "491231235959Z")).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
  expect(time(0x17, "500101000000Z")).toBe(Date.UTC(1950, 0, 1));
  expect(time(0x18, "20500101000000Z")).toBe(Date.UTC(2050, 0, 1));
  expect(time(0x18, "500101000000Z")).toBeNaN();
  expect(time(0x02, "20500101000000Z")).toBeNaN();
  expect(derName(Buffer.from("310c300a0603550403130352c3a9", "hex"))).toBe("CN=R\u00e9");
});

test("whatever the bytes are, nothing is thrown, and no element is longer than what is there", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const total = readDer(bytes)?.reduce((sum, { content }) => sum + content.length + 2, 0) ?? 0;
      expect(total).toBeLessThanOrEqual(bytes.length);
      derName(bytes);
    }),
  );
  fc.assert(
    fc.property(fc.nat(), fc.string({ maxLength: 3 }), (at, text) => {
      const start = at % good.length;
      judgeRevocations(good.slice(0, start) + text + good.slice(start + text.length), authority.cert, now);
    }),
    { numRuns: 200 },
  );
});

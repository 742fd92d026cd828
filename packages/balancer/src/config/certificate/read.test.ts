import { beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { clientAuth, makeCertificate, serverAuth, type MadeCertificate } from "@plimsoll/testbed/certificates";
import fc from "fast-check";
import { readAuthorities, readCertificate, type Purpose } from "./read.ts";

const now = Date.UTC(2026, 10, 27, 12);
const day = 24 * 60 * 60 * 1000;
const at = (from: number, to: number) => ({ notBefore: now + from * day, notAfter: now + to * day });
const ninety = at(-30, 60);

let root: MadeCertificate;
let middle: MadeCertificate;
let leaf: MadeCertificate;
beforeAll(async () => {
  root = await makeCertificate({ subject: "CN=Test Root", authority: true, ...at(-1000, 1000) });
  middle = await makeCertificate({ subject: "CN=Test Middle", authority: true, issuer: root, ...at(-500, 500) });
  leaf = await makeCertificate({
    names: ["shop.example", "*.shop.example", "::1"],
    issuer: middle,
    usages: [serverAuth],
    ...ninety,
  });
});

/** What is told, as "severity part trouble". */
function told(cert: string, key: string, purpose: Purpose = "server"): string[] {
  const { facts, findings } = readCertificate(cert, key, now, purpose);
  expect(facts === null).toBe(findings.some(({ severity }) => severity === "error"));
  for (const { message, hint } of findings) {
    expect(message).not.toMatch(/\.$/);
    expect(hint ?? "").not.toBe("");
    // Whatever is said, no key is ever repeated.
    if (key.length > 100) expect(`${message} ${hint}`).not.toContain(key.slice(30, 90));
  }
  return findings.map(({ severity, part, trouble }) => `${severity} ${part} ${trouble}`);
}

describe("a chain that clients accept", () => {
  test("nothing is told, and the facts are its own", () => {
    const { facts, findings } = readCertificate(leaf.cert + middle.cert, leaf.key, now);
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({
      names: ["shop.example", "*.shop.example", "::1"],
      key: { kind: "ecdsa", curve: "P-256" },
      subject: "CN=shop.example",
      issuer: "CN=Test Middle",
      selfSigned: false,
      notBefore: now - 30 * day,
      notAfter: now + 60 * day,
      chainLength: 2,
    });
    expect(facts?.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.stringify(facts)).not.toContain("PRIVATE");
  });

  test("with its root, in one file with its key, with comments and Windows line ends", () => {
    const all = `subject=CN=shop\n${leaf.cert}\nissuer: ...\n${middle.cert}${root.cert}${leaf.key}`;
    expect(told(all, all)).toEqual([]);
    const windows = all.replaceAll("\n", "\r\n");
    expect(told(`\uFEFF${windows}`, windows)).toEqual([]);
  });

  test("RSA, and keys as OpenSSL writes them", async () => {
    const rsa = await makeCertificate({ names: ["a.example"], key: "RSA-2048", ...ninety });
    expect(readCertificate(rsa.cert, rsa.key, now).facts?.key).toEqual({ kind: "rsa", bits: 2048 });
    const { createPrivateKey } = await import("node:crypto");
    const pkcs1 = createPrivateKey(rsa.key).export({ type: "pkcs1", format: "pem" }) as string;
    expect(told(rsa.cert, pkcs1)).toEqual([]);
    const sec1 = createPrivateKey(leaf.key).export({ type: "sec1", format: "pem" }) as string;
    const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    expect(told(leaf.cert + middle.cert, parameters + sec1)).toEqual([]);
  });

  test("self-signed", async () => {
    const own = await makeCertificate({ names: ["localhost"], ...ninety });
    expect(told(own.cert, own.key)).toEqual([]);
    expect(readCertificate(own.cert, own.key, now).facts?.selfSigned).toBe(true);
  });
});

describe("what cannot be used is an error", () => {
  test("unreadable: nothing, no PEM, binary, cut in two, not a certificate", () => {
    expect(told("", leaf.key)).toEqual(["error cert unreadable"]);
    expect(told("hello", leaf.key)).toEqual(["error cert unreadable"]);
    const der = Buffer.from(leaf.cert.split("\n").slice(1, -2).join(""), "base64").toString("utf8");
    expect(readCertificate(der, leaf.key, now).findings[0]?.message).toContain("binary");
    expect(told(leaf.cert.slice(0, 200), leaf.key)).toEqual(["error cert unreadable"]);
    expect(told(leaf.cert.replace(/\n-----END/, "-----END"), leaf.key)).toEqual(["error cert unreadable"]);
    expect(told("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", leaf.key)).toEqual([
      "error cert unreadable",
    ]);
    expect(told(leaf.cert, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")).toEqual([
      "error key unreadable",
    ]);
    expect(told("x".repeat(2 * 1024 * 1024), leaf.key)).toEqual(["error cert unreadable"]);
  });

  test("the two files exchanged, or a request in the place of its certificate", () => {
    expect(told(leaf.key, leaf.cert)).toEqual(["error cert no-certificate", "error key no-key"]);
    const request = leaf.cert.replaceAll("CERTIFICATE", "CERTIFICATE REQUEST");
    const { findings } = readCertificate(request, leaf.key, now);
    expect(findings[0]?.hint).toContain("request");
  });

  test("an encrypted key, in both ways of writing it", () => {
    const cipher = { cipher: "aes-256-cbc", passphrase: "x" };
    const pkcs8 = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem", ...cipher },
    }).privateKey;
    expect(pkcs8).toContain("ENCRYPTED");
    expect(told(leaf.cert, pkcs8)).toEqual(["error key encrypted-key"]);
    const old =
      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    expect(told(leaf.cert, old)).toEqual(["error key encrypted-key"]);
  });

  test("another certificate's key", async () => {
    const other = await makeCertificate({ names: ["b.example"], key: "RSA-2048", ...ninety });
    expect(told(leaf.cert + middle.cert, other.key)).toEqual(["error key key-mismatch"]);
    const { findings } = readCertificate(leaf.cert, other.key, now);
    expect(findings[0]?.message).toBe("the key (RSA 2048) does not belong to the certificate of CN=shop.example");
  });

  test("the chain before the leaf: the right order is told", () => {
    expect(told(root.cert + middle.cert + leaf.cert, leaf.key)).toEqual(["error cert leaf-not-first"]);
    const { findings } = readCertificate(middle.cert + leaf.cert, leaf.key, now);
    expect(findings[0]?.hint).toEndWith("CN=shop.example, then CN=Test Middle");
  });
});

describe("what some clients refuse is a warning", () => {
  test("a chain out of order, with a stranger in it, or with one twice", async () => {
    expect(told(leaf.cert + root.cert + middle.cert, leaf.key)).toEqual(["warning cert chain-order"]);
    const stranger = await makeCertificate({ subject: "CN=Stranger", authority: true, ...ninety });
    expect(told(leaf.cert + stranger.cert, leaf.key)).toEqual(["warning cert chain-broken"]);
    expect(told(leaf.cert + middle.cert + middle.cert, leaf.key)).toEqual(["warning cert chain-broken"]);
    // The same name and another key: it looks like the issuer, and did not sign.
    const impostor = await makeCertificate({ subject: "CN=Test Middle", authority: true, issuer: root, ...ninety });
    expect(told(leaf.cert + impostor.cert, leaf.key)).toEqual(["warning cert chain-broken"]);
  });

  test("a missing intermediate, where the certificate says that there is one", async () => {
    const issuerAddress = "http://ca.example/middle.crt";
    const open = await makeCertificate({ names: ["a.example"], issuer: middle, issuerAddress, ...ninety });
    expect(told(open.cert, open.key)).toEqual(["warning cert chain-incomplete"]);
    expect(told(open.cert + middle.cert, open.key)).toEqual([]);
    // A private authority that issues by itself says nothing of the kind.
    expect(told(leaf.cert, leaf.key)).toEqual([]);
  });

  test.each([
    ["it is over", -90, -1, "warning cert expired"],
    ["it begins tomorrow", 1, 90, "warning cert not-yet-valid"],
    ["20 of 90 days are left", -70, 20, "warning cert expires-soon"],
    ["22 of 90 days are left", -68, 22, ""],
    ["5 of 6 days are left", -1, 5, ""],
    ["one of 6 days is left", -5, 1, "warning cert expires-soon"],
  ])("%s", async (_, from, to, expected) => {
    const one = await makeCertificate({ names: ["a.example"], ...at(from, to) });
    expect(told(one.cert, one.key).join()).toBe(expected);
  });

  test("the last seven days are louder", async () => {
    const said = async (left: number) => {
      const one = await makeCertificate({ names: ["a.example"], ...at(left - 90, left) });
      return readCertificate(one.cert, one.key, now).findings[0];
    };
    expect((await said(20))?.message).toBe("the certificate expires in 20 days, on 2026-12-17 12:00 UTC");
    const loud = await said(6);
    expect(loud?.message).toBe("ONLY 6 days LEFT: the certificate expires on 2026-12-03 12:00 UTC");
    expect(loud?.why).toContain("refuses");
  });

  test("an intermediate that ends before the certificate", async () => {
    const old = await makeCertificate({ subject: "CN=Old", authority: true, issuer: root, ...at(-900, 3) });
    const one = await makeCertificate({ names: ["a.example"], issuer: old, ...ninety });
    const { findings } = readCertificate(one.cert + old.cert, one.key, now);
    expect(findings.map(({ message }) => message)).toEqual([
      "ONLY 3 days LEFT: the intermediate CN=Old expires on 2026-11-30 12:00 UTC",
    ]);
  });

  test("SHA-1, short RSA keys, no names, wrong usage", async () => {
    const weak = await makeCertificate({
      subject: "CN=Weak",
      authority: true,
      key: "RSA-1024",
      hash: "SHA-1",
      ...ninety,
    });
    const signed = await makeCertificate({ names: ["a.example"], issuer: weak, hash: "SHA-1", ...ninety });
    expect(told(signed.cert + weak.cert, signed.key)).toEqual(["warning cert weak-signature"]);
    const short = await makeCertificate({ names: ["a.example"], key: "RSA-1024", hash: "SHA-1", ...ninety });
    expect(told(short.cert, short.key)).toEqual(["warning cert weak-key"]);
    const nameless = await makeCertificate({ subject: "CN=a.example", ...ninety });
    expect(told(nameless.cert, nameless.key)).toEqual(["warning cert no-names"]);
    const client = await makeCertificate({ names: ["a.example"], usages: [clientAuth], ...ninety });
    expect(told(client.cert, client.key)).toEqual(["warning cert wrong-usage"]);
  });

  test("a client's certificate is judged as one", async () => {
    const client = await makeCertificate({ subject: "CN=robot", usages: [clientAuth], ...ninety });
    expect(told(client.cert, client.key, "client")).toEqual([]);
    expect(told(leaf.cert, leaf.key, "client")).toEqual(["warning cert wrong-usage"]);
  });
});

describe("authorities", () => {
  test("a bundle is read whole; what is over matters only when all are", async () => {
    expect(readAuthorities(root.cert + middle.cert, now)).toMatchObject({
      facts: [{ subject: "CN=Test Root" }, {}],
      findings: [],
    });
    const old = await makeCertificate({ subject: "CN=Old", authority: true, ...at(-90, -1) });
    expect(readAuthorities(old.cert + root.cert, now).findings).toEqual([]);
    expect(readAuthorities(old.cert, now).findings).toMatchObject([{ trouble: "expired" }]);
  });

  test("no authority among them, or nothing at all", () => {
    expect(readAuthorities(leaf.cert, now).findings).toMatchObject([{ trouble: "no-authority", severity: "warning" }]);
    expect(readAuthorities(leaf.key, now).findings).toMatchObject([{ trouble: "no-certificate", severity: "error" }]);
  });
});

test("whatever stands in the files, there are facts or an error, and nothing is thrown", () => {
  const pieces = () =>
    fc.constantFrom(leaf.cert, middle.cert, leaf.key, "\n", "-----BEGIN X-----\n", "-----END X-----\n", "0\uFFFD", "x");
  const text = () => fc.array(fc.oneof(pieces(), fc.string()), { maxLength: 4 }).map((parts) => parts.join(""));
  const cut = () =>
    fc.tuple(text(), fc.nat(), fc.nat()).map(([whole, from, length]) => {
      const start = from % (whole.length + 1);
      return whole.slice(0, start) + whole.slice(start + (length % 40));
    });
  fc.assert(
    fc.property(cut(), cut(), (cert, key) => {
      told(cert, key);
      const { facts, findings } = readAuthorities(cert, now);
      expect(facts.length > 0 || findings.some(({ severity }) => severity === "error")).toBe(true);
    }),
    { numRuns: 300 },
  );
});

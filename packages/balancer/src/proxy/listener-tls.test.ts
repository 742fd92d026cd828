import { expect, test } from "bun:test";
import { testAuthority } from "@plimsoll/testbed/authority";
import type { CertificateWish } from "@plimsoll/testbed/certificates";
import { X509Certificate } from "node:crypto";
import type { CertificatePlan } from "../pool/plan.ts";
import { certificateLines } from "./client-certificate.ts";
import { tlsPlan } from "./fixtures/plans.ts";
import { foldTls } from "./listener-tls.ts";

const authority = await testAuthority();

async function certificate(names: readonly string[], wish: CertificateWish = {}): Promise<CertificatePlan> {
  const { cert, key } = await authority.issue(names, wish);
  const kind = wish.key?.startsWith("RSA") === true ? "rsa" : "ecdsa";
  return { cert, key, certFile: `${names[0] ?? "none"}.crt`, keyFile: `${names[0] ?? "none"}.key`, names, kind };
}

test("exact before wildcard, one label for a wildcard, the first certificate for everybody else", async () => {
  const [first, wild, exact] = [
    await certificate(["first.test"]),
    await certificate(["*.b.test"]),
    await certificate(["x.b.test"]),
  ];
  const folded = foldTls(tlsPlan([first, wild, exact]))!;
  const { choose, context } = folded;
  expect(choose("first.test")).toBe(context);
  for (const unknown of ["", "nobody.test", "b.test", "a.y.b.test", ".b.test", "."])
    expect(choose(unknown)).toBe(context);
  const [byWildcard, byName] = [choose("y.b.test"), choose("x.b.test")];
  expect(new Set([context, byWildcard, byName]).size).toBe(3);
  expect(choose("z.b.test")).toBe(byWildcard);
});

test("strict: no context for a name that no certificate holds", async () => {
  const { choose } = foldTls(tlsPlan([await certificate(["a.test"])], { strictSni: true }))!;
  expect(choose("a.test")).not.toBeNull();
  for (const unknown of ["", "b.test", "x.a.test"]) expect(choose(unknown)).toBeNull();
});

test("two of one name and kind: the first is shown; of two kinds both", async () => {
  const [one, two] = [await certificate(["a.test", "b.test"]), await certificate(["a.test", "c.test"])];
  const alone = foldTls(tlsPlan([one]))!;
  const both = foldTls(tlsPlan([one, two]))!;
  expect(both.choose("a.test")).toBe(alone.choose("a.test"));
  expect(both.choose("c.test")).not.toBe(both.choose("a.test"));
  const rsa = await certificate(["a.test"], { key: "RSA-2048" });
  expect(foldTls(tlsPlan([one, rsa]))!.choose("a.test")).not.toBe(alone.choose("a.test"));
});

test("no certificate yet: a context that shows none, rather than an error", () => {
  expect(foldTls(tlsPlan([]))!.choose("a.test")).not.toBeNull();
  expect(foldTls(null)).toBeNull();
});

test("what the runtime does not take names its file", async () => {
  const [one, two] = [await certificate(["a.test"]), await certificate(["b.test"])];
  expect(() => foldTls(tlsPlan([{ ...one, key: two.key }]))).toThrow("TLS with a.test.crt cannot be used");
});

test("a subject is one line of printable ASCII, whatever stands in it", async () => {
  const { cert } = await authority.issueClient("alice", { subject: "CN=Ünïcode, O=Line" });
  const peer = new X509Certificate(cert);
  const facts = { version: "", cipher: "", alpn: "", serverName: "", resumed: false };
  const lines = certificateLines({ ...facts, peer }).split("\r\n");
  expect(lines.length).toBe(4);
  expect(lines[1]).toBe("X-Client-Cert-Subject: CN=\\C3\\9Cn\\C3\\AFcode, O=Line");
  expect(lines[2]).toMatch(/^X-Client-Cert-Fingerprint: [0-9a-f]{64}$/);
  expect(lines[0]).toBe(`Client-Cert: :${peer.raw.toString("base64")}:`);
  expect(certificateLines({ ...facts, peer: null })).toBe("");
  const hostile = { ...peer, raw: peer.raw, fingerprint256: "AA:BB", subject: "CN=a\r\nX-Admin: 1\nO=b" };
  expect(certificateLines({ ...facts, peer: hostile as unknown as X509Certificate }).split("\r\n").length).toBe(4);
  expect(certificateLines(null)).toBe("");
});

test("clients are never verified by the system's authorities: without some of its own a listener is not made", async () => {
  const certificates = [await certificate(["a.test"])];
  const ca = { file: "ca.pem", pem: authority.cert };
  for (const clientCertificates of ["optional", "required"] as const) {
    expect(() => foldTls(tlsPlan(certificates, { clientCertificates }))).toThrow("no authority is named");
    expect(foldTls(tlsPlan(certificates, { clientCertificates, ca }))).not.toBeNull();
  }
});

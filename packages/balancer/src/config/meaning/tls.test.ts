import { expect, test } from "bun:test";
import { testAuthority } from "@plimsoll/testbed/authority";
import type { FileReader } from "../file-reader.ts";
import { loadConfig } from "../load.ts";

const authority = await testAuthority();
const pair = await authority.issue(["a.test"]);
const crl = await authority.revoke();
const files: Readonly<Record<string, string>> = {
  "a.crt": pair.cert,
  "a.key": pair.key,
  "ca.pem": authority.cert,
  "good.crl": crl,
  "cut.crl": `${crl.slice(0, 120)}\n-----END X509 CRL-----\n`,
};
const reader: FileReader = {
  resolve: (_, written) => written,
  readFile(path) {
    const found = files[path];
    if (found === undefined) throw Object.assign(new Error("gone"), { code: "ENOENT" });
    return found;
  },
};

/** Problems of a listener with these lines, and of a pool; each "severity path: message". */
function problems(listener: string, pool = ""): string[] {
  const text = `
listeners:
  web: { address: "127.0.0.1:8443", ${listener} }
pools:
  app: { endpoints: [127.0.0.1:3000], declared: { app: 1s } ${pool} }
`;
  const loaded = loadConfig({ text, file: "test.yaml" }, {}, reader);
  const found = "problems" in loaded ? loaded.problems : loaded.warnings;
  return found
    .filter(({ path }) => path.includes("tls") || path.includes("web") || path.includes("proxyProtocol"))
    .map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
}

const routes = "routes: [{ pool: app }]";
const certificates = "certificates: { cert: a.crt, key: a.key }";

test("what fits together is not talked about", () => {
  expect(problems(`tls: { ${certificates} }, ${routes}`)).toEqual([]);
  expect(problems(`tls: { ${certificates}, minVersion: 1.3, clientCertificates: { ca: ca.pem } }, ${routes}`)).toEqual(
    [],
  );
  expect(problems(`tls: { ${certificates}, hsts: {} }, ${routes}`, ", tls: { ca: ca.pem }")).toEqual([]);
});

test("versions that exclude each other, suites that are never spoken", () => {
  expect(problems(`tls: { ${certificates}, minVersion: 1.3, maxVersion: 1.2 }, ${routes}`)).toEqual([
    "error listeners.web.tls.maxVersion: no version is left between 1.3 and 1.2",
  ]);
  const ciphers = "ciphers: ECDHE-RSA-AES128-GCM-SHA256";
  expect(problems(`tls: { ${certificates}, minVersion: "1.3", ${ciphers} }, ${routes}`)).toEqual([
    "warning listeners.web.tls.ciphers: they are of TLS 1.2, which is not spoken here",
  ]);
  expect(problems(`tls: { ${certificates}, ciphers: RC4-SHA }, ${routes}`)[0]).toStartWith(
    "error listeners.web.tls.ciphers",
  );
  expect(problems(`tls: { ${certificates}, minVersion: 1.1 }, ${routes}`)[0]).toStartWith(
    "error listeners.web.tls.minVersion",
  );
});

test("a listener without certificate, without routes, or with routes that are never reached", () => {
  expect(problems(`tls: {}, ${routes}`)).toEqual([
    "error listeners.web.tls.certificates: there is no certificate to show",
  ]);
  expect(problems("readyPath: /ready")).toEqual(["error listeners.web: this listener has no routes"]);
  expect(problems(`redirect: https, ${routes}`)).toEqual([
    "error listeners.web.routes: every request is sent to HTTPS, so none of these routes is ever reached",
  ]);
  expect(problems(`redirect: https, tls: { ${certificates} }`)).toEqual([
    "error listeners.web.redirect: this listener speaks TLS itself: browsers would be sent in circles",
  ]);
});

test("plainHttp: where there is TLS to be told apart from, and where nobody gets around a certificate by it", () => {
  const tls = `tls: { ${certificates} }, ${routes}`;
  for (const way of ["redirect", "serve"]) expect(problems(`${tls}, plainHttp: ${way}`)).toEqual([]);
  expect(problems(`protocol: tls, ${routes}, plainHttp: redirect`)).toEqual([]);
  expect(problems(`protocol: tls, ${routes}, plainHttp: serve`)).toEqual([
    "error listeners.web.plainHttp: protocol: tls reads no requests, so its routes cannot lead them",
  ]);
  for (const protocol of ["tcp", "udp"]) {
    expect(problems(`protocol: ${protocol}, ${routes}, plainHttp: redirect`)).toEqual([
      `error listeners.web.plainHttp: protocol: ${protocol} passes bytes on, and nothing tells TLS from HTTP there`,
    ]);
  }
  expect(problems(`${routes}, plainHttp: redirect`)).toEqual([
    "error listeners.web.plainHttp: nobody speaks TLS on this listener, so there is nowhere on it to send clients to",
  ]);
  expect(problems(`${routes}, plainHttp: serve`)).toEqual([
    "warning listeners.web.plainHttp: nobody speaks TLS on this listener, so this has no effect",
  ]);
  const asking = (mode: string) =>
    problems(
      `tls: { ${certificates}, clientCertificates: { ca: ca.pem, mode: ${mode} } }, ${routes}, plainHttp: serve`,
    );
  expect(asking("optional")).toEqual([]);
  expect(asking("required")).toEqual([
    "error listeners.web.plainHttp: who leaves TLS away is served without the certificate that everybody else must show",
  ]);
});

test("HSTS that no browser would build in", () => {
  expect(problems(`tls: { ${certificates}, hsts: { preload: true } }, ${routes}`)[0]).toStartWith(
    "warning listeners.web.tls.hsts.preload",
  );
  expect(problems(`tls: { ${certificates}, hsts: { preload: true, includeSubDomains: true } }, ${routes}`)).toEqual([]);
});

test("authorities of clients and revocation lists are files that hold what they should", () => {
  expect(problems(`tls: { ${certificates}, clientCertificates: { ca: gone.pem } }, ${routes}`)[0]).toContain(
    "the file of authorities cannot be read: there is no such file",
  );
  expect(problems(`tls: { ${certificates}, clientCertificates: { ca: ca.pem, crl: ca.pem } }, ${routes}`)[0]).toContain(
    "it holds no revocation list in PEM",
  );
  const listed = (crl: string) =>
    problems(`tls: { ${certificates}, clientCertificates: { ca: ca.pem, crl: ${crl} } }, ${routes}`);
  expect(listed("good.crl")).toEqual([]);
  // A program that was started with it would not come up.
  expect(listed("cut.crl")).toEqual([
    "error listeners.web.tls.clientCertificates.crl: cut.crl: the revocation list in line 1 cannot be read",
  ]);
});

test("endpoints: the ugly name is told", () => {
  const tls = `tls: { ${certificates} }, ${routes}`;
  expect(problems(tls, ", tls: { dangerouslyTrustAnyCertificate: true }")).toEqual([
    "warning pools.app.tls.dangerouslyTrustAnyCertificate: whoever gets between this balancer and an endpoint can read and change everything",
  ]);
});

// TLS towards endpoints: what is verified, what is told when it fails, and that probes and traffic go the same way.
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { cleanUp, configFor, later, run, until } from "../control/running.ts";
import { certificates, startEcho, type Certificates } from "./stage.ts";

afterEach(cleanUp);

const pem = (path: string) => readFileSync(path, "utf8");

/** An origin that speaks TLS with a certificate for `names`. */
async function origin(made: Certificates, names: readonly string[], wish = {}, more = {}): Promise<number> {
  const { cert, key } = await made.issue(`origin-${names.join("-")}`, names, wish);
  const echo = startEcho({ cert: pem(cert), key: pem(key), ...more });
  later(() => echo.stop());
  return echo.port;
}

/** What a client of the balancer gets when its pool speaks TLS so. */
async function ask(port: number, tls: object, pool: object = {}) {
  const program = await run(
    configFor(0, [], {
      pools: { app: { endpoints: [`127.0.0.1:${port}`], readiness: "off", retry: { attempts: 1 }, tls, ...pool } },
    }),
  );
  const url = `http://127.0.0.1:${await program.port()}/`;
  const answer = await fetch(url, { keepalive: false });
  return {
    program,
    url,
    status: answer.status,
    why: answer.headers.get("proxy-status") ?? "",
    body: await answer.text(),
  };
}

test("by address, by another name, and not at all", async () => {
  const made = await certificates();
  const port = await origin(made, ["127.0.0.1"]);
  expect(await ask(port, { ca: made.ca })).toMatchObject({ status: 200 });
  const named = await origin(made, ["app.internal"]);
  expect(await ask(named, { ca: made.ca, serverName: "app.internal" })).toMatchObject({ status: 200 });
  expect(await ask(named, { dangerouslyTrustAnyCertificate: true })).toMatchObject({ status: 200 });
});

test("what is wrong with an endpoint's certificate is a fault of its own", async () => {
  const made = await certificates();
  const named = await origin(made, ["app.internal"]);
  const misnamed = await ask(named, { ca: made.ca });
  expect([misnamed.status, misnamed.why]).toEqual([502, expect.stringContaining("upstream-certificate-misnamed")]);
  const untrusted = await ask(named, { serverName: "app.internal" });
  expect([untrusted.status, untrusted.why]).toEqual([502, expect.stringContaining("upstream-certificate-invalid")]);
  const old = await origin(made, ["127.0.0.1"], { notBefore: 0, notAfter: Date.now() - 86_400_000 });
  const expired = await ask(old, { ca: made.ca });
  expect([expired.status, expired.why]).toEqual([502, expect.stringContaining("upstream-certificate-expired")]);
  const plain = startEcho();
  later(() => plain.stop());
  const none = await ask(plain.port, { ca: made.ca });
  expect([none.status, none.why]).toEqual([502, expect.stringContaining("upstream-tls-failed")]);
  expect(misnamed.why).toContain("tls_certificate_error");
  expect(none.why).toContain("tls_protocol_error");
});

test("a client certificate is shown to endpoints that ask for one", async () => {
  const made = await certificates();
  const own = await made.issueClient("balancer");
  const port = await origin(made, ["127.0.0.1"], {}, { ca: pem(made.ca), requestCert: true });
  expect(await ask(port, { ca: made.ca, ...own })).toMatchObject({ status: 200 });
  const { status, why } = await ask(port, { ca: made.ca });
  expect(status).toBe(502);
  expect(why).toContain("upstream-");
});

test("probes are made as traffic is", async () => {
  const made = await certificates();
  const good = await origin(made, ["127.0.0.1"]);
  const bad = await origin(made, ["app.internal"]);
  for (const readiness of [{ path: "/", interval: "1s", timeout: "1s" }, "tcp", "tls"]) {
    const program = await run(
      configFor(0, [], {
        pools: {
          app: { endpoints: [`127.0.0.1:${good}`, `127.0.0.1:${bad}`], tls: { ca: made.ca }, readiness },
        },
      }),
    );
    const states = await until("both were probed", async () => {
      const { pools } = await program.status();
      const endpoints = pools[0]?.endpoints ?? [];
      return endpoints.every(({ probe }) => probe !== null) ? endpoints : null;
    });
    expect(states.map(({ probe }) => probe?.ok)).toEqual([true, false]);
    expect(states[1]?.probe?.detail).toContain("its certificate is not valid");
  }
});

test("connections are kept and used again, and a new authority gives them up", async () => {
  const made = await certificates();
  const other = await certificates();
  const port = await origin(made, ["127.0.0.1"]);
  const { program, url, status } = await ask(port, { ca: made.ca });
  expect(status).toBe(200);
  for (let i = 0; i < 20; i++) expect((await fetch(url, { keepalive: false })).status).toBe(200);
  const { text } = await program.admin("GET", "/metrics");
  const connects = /plimsoll_endpoint_connects_total\{[^}]*\} (\d+)/.exec(text)?.[1];
  // Two workers, and no more than the connections that met in each.
  expect(Number(connects)).toBeLessThan(10);
  program.configure(readFileSync(program.file, "utf8").replace(made.ca, other.ca));
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  for (let i = 0; i < 8; i++) expect((await fetch(url, { keepalive: false })).status).toBe(502);
});

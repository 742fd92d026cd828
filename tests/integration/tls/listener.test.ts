// Needs: curl, openssl
import { afterEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:tls";
import { cleanUp, configFor, later, run, until, type Running } from "../control/running.ts";
import { certificates, curl, sClient, startEcho } from "./stage.ts";

afterEach(cleanUp);

/** A program with one TLS listener "web" in front of an echo; `tls` and `listener` say more of it, `env` is its environment's. */
async function start(
  tls: object,
  listener: object = {},
  more: object = {},
  env: Readonly<Record<string, string>> = {},
): Promise<{ program: Running; port: number }> {
  const echo = startEcho();
  later(() => echo.stop());
  const program = await run(
    configFor(0, [echo.port], {
      listeners: { web: { address: "127.0.0.1:0", tls, routes: [{ pool: "app" }], ...listener }, ...more },
    }),
    { env },
  );
  return { program, port: await program.port() };
}

test("certificates by name: exact, wildcard, and the first for everybody else; what the endpoint is told", async () => {
  const made = await certificates();
  const first = await made.issue("first", ["a.test", "127.0.0.1"]);
  const wild = await made.issue("wild", ["*.b.test"]);
  const { port } = await start({ certificates: [first, wild] });
  const trusting = ["--cacert", made.ca];
  const answer = await curl(`a.test:${port}`, trusting);
  expect(answer.status).toBe(200);
  expect(answer.body).toContain("x-forwarded-proto: https\n");
  expect(answer.body).toContain(`x-forwarded-port: ${port}\n`);
  expect(answer.body).toContain(`forwarded: for=127.0.0.1;host="a.test:${port}";proto=https\n`);
  expect((await curl(`x.b.test:${port}`, trusting)).status).toBe(200);
  // 60: the certificate is another name's.
  expect((await curl(`b.test:${port}`, trusting)).exit).toBe(60);
  expect((await curl(`x.y.b.test:${port}`, trusting)).exit).toBe(60);
  expect(await sClient(port, ["-noservername"])).toContain("CN = a.test");
  expect(await sClient(port, ["-servername", "nobody.test"])).toContain("CN = a.test");
});

test("a certificate without its chain goes alone: nothing is added out of what the machine trusts", async () => {
  const made = await certificates();
  const alone = await made.issue("alone", ["a.test"]);
  const whole = { cert: made.path("whole.crt"), key: alone.key };
  writeFileSync(whole.cert, readFileSync(alone.cert, "utf8") + readFileSync(made.ca, "utf8"));
  for (const [certificate, sent] of [
    [alone, 1],
    [whole, 2],
  ] as const) {
    const { port } = await start({ certificates: certificate }, {}, {}, { SSL_CERT_FILE: made.ca });
    const said = await sClient(port, ["-servername", "a.test", "-showcerts"]);
    expect(said.match(/-----BEGIN CERTIFICATE-----/g)).toHaveLength(sent);
  }
});

test("strictSni: names that no certificate holds, and clients that name nobody, are refused", async () => {
  const made = await certificates();
  const { program, port } = await start({ certificates: await made.issue("a", ["a.test"]), strictSni: true });
  expect((await curl(`a.test:${port}`, ["--cacert", made.ca])).status).toBe(200);
  for (const version of ["-tls1_2", "-tls1_3"]) {
    const refused = await sClient(port, ["-servername", "nobody.test", version]);
    expect(refused).not.toContain("CN = a.test");
    expect(refused).toContain("unrecognized name");
  }
  expect(await sClient(port, ["-noservername"])).not.toContain("CN = a.test");
  const metrics = await until("both are counted", async () => {
    const { text } = await program.admin("GET", "/metrics");
    return text.includes('plimsoll_tls_handshake_failures_total{listener="web",reason="name"} 3') ? text : null;
  });
  expect(metrics).toContain('plimsoll_tls_handshakes_total{listener="web",version="1.3",resumed="no"} 1');
  expect((await program.told("tls.handshake-failed")).text).toContain(
    "listener web: the TLS handshake with 127.0.0.1 failed",
  );
});

test("RSA and ECDSA of one name, versions, suites and groups as they are set", async () => {
  const made = await certificates();
  const pairs = [await made.issue("ec", ["a.test"]), await made.issue("rsa", ["a.test"], { key: "RSA-2048" })];
  const { port } = await start({ certificates: pairs });
  const with12 = (cipher: string) => sClient(port, ["-tls1_2", "-servername", "a.test", "-cipher", cipher]);
  expect(await with12("ECDHE-ECDSA-AES128-GCM-SHA256")).toContain("id-ecPublicKey");
  expect(await with12("ECDHE-RSA-AES128-GCM-SHA256")).toContain("rsaEncryption");
  // What keeps no secret when the key is lost, and what is broken, is not spoken.
  for (const cipher of ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256"]) {
    expect(await with12(`${cipher}:@SECLEVEL=0`)).toContain("handshake failure");
  }
  expect(await sClient(port, ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])).toMatch(/alert protocol version|no protocols/);
  const only13 = await start({ certificates: pairs, minVersion: 1.3, groups: "X25519" });
  expect(await sClient(only13.port, ["-tls1_2"])).toContain("alert protocol version");
  expect(await sClient(only13.port, ["-tls1_3", "-groups", "X25519"])).toContain("Server Temp Key: X25519");
  expect(await sClient(only13.port, ["-tls1_3", "-groups", "P-256"])).toContain("handshake failure");
  const only12 = await start({ certificates: pairs, maxVersion: 1.2, ciphers: "ECDHE-RSA-CHACHA20-POLY1305" });
  expect(await sClient(only12.port, [])).toContain("ECDHE-RSA-CHACHA20-POLY1305");
});

test("groups: X25519MLKEM768 and what is spoken beside it without a word in the configuration; only those that are set", async () => {
  const made = await certificates();
  const certificate = await made.issue("a", ["a.test"]);
  const ca = readFileSync(made.ca, "utf8");
  // Debian's OpenSSL knows no group of the new kind; the runtime's client does.
  const speaks = (port: number, group: string): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect({ host: "127.0.0.1", port, servername: "a.test", ca, ecdhCurve: group });
    socket.on("secureConnect", () => resolve(true));
    socket.on("error", () => resolve(false));
    return promise.finally(() => socket.destroy());
  };
  const usual = await start({ certificates: certificate });
  for (const group of ["X25519MLKEM768", "X25519", "P-256", "P-384"]) {
    expect([group, await speaks(usual.port, group)]).toEqual([group, true]);
  }
  expect(await speaks(usual.port, "P-521")).toBe(false);
  const old = await start({ certificates: certificate, groups: ["X25519", "P-256"] });
  expect(await speaks(old.port, "X25519MLKEM768")).toBe(false);
  expect(await speaks(old.port, "P-256")).toBe(true);
});

test("a session is resumed, and counted as such", async () => {
  const made = await certificates();
  const { program, port } = await start({ certificates: await made.issue("a", ["a.test"]) }, {}, {});
  program.configure(program.file);
  const session = made.path("session");
  const request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
  for (const how of ["-sess_out", "-sess_in"]) {
    // Several workers, each with keys of its own: until it is the one that issued the session.
    await until(`openssl is served with ${how}`, async () => {
      const said = await sClient(port, ["-ign_eof", "-tls1_2", how, session], request);
      return how === "-sess_out" ? said.includes("200 OK") : said.includes("Reused, TLSv1.2");
    });
  }
  await until("it is counted", async () => {
    const { text } = await program.admin("GET", "/metrics");
    return text.includes('plimsoll_tls_handshakes_total{listener="web",version="1.2",resumed="yes"} 1');
  });
});

test("ALPN: http/1.1 is chosen; a client that speaks only something else is told so", async () => {
  const made = await certificates();
  const { port } = await start({ certificates: await made.issue("a", ["a.test"]) });
  expect(await sClient(port, ["-alpn", "h2,http/1.1"])).toContain("ALPN protocol: http/1.1");
  expect(await sClient(port, ["-alpn", "h2"])).toContain("no application protocol");
  expect(await sClient(port, [])).toContain("No ALPN negotiated");
});

test("client certificates: what they say is passed on, and nobody else can say it", async () => {
  const made = await certificates();
  const pair = await made.issue("a", ["a.test"]);
  const client = await made.issueClient("alice");
  const { program, port } = await start(
    { certificates: pair, clientCertificates: { ca: made.ca, mode: "optional" } },
    { trustedProxies: "127.0.0.1" },
    {
      strict: {
        address: "127.0.0.1:0",
        tls: { certificates: pair, clientCertificates: { ca: made.ca } },
        routes: [{ pool: "app" }],
      },
    },
  );
  const forged = ["client-cert", "Client-Cert-Chain", "X-Client-Cert-Subject", "x-client-cert-anything"].flatMap(
    (name) => ["-H", `${name}: forged`],
  );
  const trusting = ["--cacert", made.ca, ...forged];
  const known = ["--cert", client.cert, "--key", client.key];
  const seen = await curl(`a.test:${port}`, [...trusting, ...known]);
  expect(seen.status).toBe(200);
  expect(seen.body).not.toContain("forged");
  expect(seen.body).toContain("x-client-cert-subject: CN=alice\n");
  const der = readFileSync(client.cert, "utf8").replaceAll(/-----[A-Z ]+-----|\s/g, "");
  expect(seen.body).toContain(`client-cert: :${der}:\n`);
  const fingerprint = new Bun.CryptoHasher("sha256").update(Buffer.from(der, "base64")).digest("hex");
  expect(seen.body).toContain(`x-client-cert-fingerprint: ${fingerprint}\n`);
  const unknown = await curl(`a.test:${port}`, trusting);
  expect(unknown.status).toBe(200);
  expect(unknown.body).not.toContain("client-cert");
  const strict = await program.port("strict");
  expect((await curl(`a.test:${strict}`, [...trusting, ...known])).status).toBe(200);
  expect((await curl(`a.test:${strict}`, trusting)).status).toBe(0);
});

test("HTTP without TLS is answered in plain words", async () => {
  const made = await certificates();
  const { port } = await start({ certificates: await made.issue("a", ["a.test"]) });
  const answer = await curl(`a.test:${port}`, [], "http");
  expect(answer.status).toBe(400);
  expect(answer.body).toBe("This port speaks HTTPS: ask again with https:// in front.\n");
});

test("a plain listener sends everybody to HTTPS, and answers tell browsers to stay there", async () => {
  const made = await certificates();
  const tls = { certificates: await made.issue("a", ["a.test"]), hsts: { maxAge: "1d", includeSubDomains: true } };
  const { program, port } = await start(
    tls,
    { routes: [{ pool: "app" }, { match: { path: "/own" }, respond: { body: "own" } }] },
    {
      plain: { address: "127.0.0.1:0", redirect: "https", readyPath: "/ready" },
      other: { address: "127.0.0.1:0", redirect: { port: 8443, status: 301 } },
    },
  );
  const plain = await program.port("plain");
  const moved = await curl(`A.test:${plain}`, [], "http", "/x/y?q=1");
  expect(moved.status).toBe(308);
  expect(moved.head).toContain("\r\nLocation: https://a.test/x/y?q=1");
  expect((await curl(`a.test:${plain}`, [], "http", "/ready")).status).toBe(200);
  const other = await curl(`a.test:${await program.port("other")}`, ["-X", "POST"], "http");
  expect([other.status, other.head.includes("\r\nLocation: https://a.test:8443/")]).toEqual([301, true]);
  for (const path of ["/", "/own"]) {
    const answer = await curl(`a.test:${port}`, ["--cacert", made.ca], "https", path);
    expect(answer.head.toLowerCase()).toContain("\r\nstrict-transport-security: max-age=86400; includesubdomains");
  }
});

test("sticky cookies are Secure", async () => {
  const made = await certificates();
  const echo = startEcho();
  later(() => echo.stop());
  const config = configFor(0, [echo.port], {
    listeners: {
      web: {
        address: "127.0.0.1:0",
        tls: { certificates: await made.issue("a", ["a.test"]) },
        routes: [{ pool: "app" }],
      },
    },
    pools: {
      app: {
        endpoints: [`127.0.0.1:${echo.port}`],
        sticky: { cookie: "stick", secret: "0123456789abcdef" },
      },
    },
  });
  const program = await run(config);
  const answer = await curl(`a.test:${await program.port()}`, ["--cacert", made.ca]);
  expect(answer.head).toMatch(/\r\nset-cookie: stick=[^\r]*; secure/i);
});

test("a certificate that is renewed on disk is taken, no connection is touched; a bad one is refused with its reason", async () => {
  const made = await certificates();
  const pair = await made.issue("a", ["a.test"], { subject: "CN=first" });
  const { program, port } = await start({ certificates: pair });
  const kept = Bun.spawn(["openssl", "s_client", "-quiet", "-connect", `127.0.0.1:${port}`], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  later(async () => {
    kept.kill();
    await kept.exited;
  });
  let heard = "";
  const reader = (async () => {
    for await (const chunk of kept.stdout) heard += new TextDecoder().decode(chunk);
  })();
  const ask = async (times: number) => {
    void kept.stdin.write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    await kept.stdin.flush();
    await until("the kept connection is answered", () => heard.split("200 OK").length === times + 1);
  };
  await ask(1);

  await made.issue("a", ["a.test"], { subject: "CN=second" });
  await until("it is replaced", () => program.event("tls.certificate-replaced"));
  expect((await program.told("tls.certificate-replaced")).text).toContain("listener web: certificates changed");
  await until("all workers show it", async () => {
    const shown = await Promise.all(Array.from({ length: 8 }, () => sClient(port, [])));
    return shown.every((each) => each.includes("CN = second"));
  });
  await ask(2);

  // The key of another certificate: nothing changes.
  const other = await made.issue("other", ["a.test"]);
  writeFileSync(pair.key, readFileSync(other.key));
  const refused = await until("it is refused", () => program.event("tls.certificate-refused"));
  expect(refused.text).toMatch(/a\.key changed, and the old one stays: .*does not belong to the certificate/);
  expect(await sClient(port, [])).toContain("CN = second");
  await ask(3);

  // And by reload: the same refusal, then a change of versions, with the connection still there.
  const reloaded = await program.admin("POST", "/reload");
  expect(reloaded.status).not.toBe(200);
  await made.issue("a", ["a.test"], { subject: "CN=third" });
  await until("the reload takes it", async () => (await program.admin("POST", "/reload")).status === 200);
  await until("all workers show it", async () => {
    const shown = await Promise.all(Array.from({ length: 8 }, () => sClient(port, [])));
    return shown.every((each) => each.includes("CN = third"));
  });
  await ask(4);
  kept.kill();
  await reader;
}, 30_000);

test("keys are in no answer of the admin API", async () => {
  const made = await certificates();
  const pair = await made.issue("a", ["a.test"]);
  const { program } = await start({ certificates: pair });
  const secret = readFileSync(pair.key, "utf8").split("\n")[1] ?? "";
  expect(secret.length).toBeGreaterThan(20);
  for (const path of ["/config", "/status", "/metrics"]) {
    const { text } = await program.admin("GET", path);
    expect(text).not.toContain(secret);
    expect(text).not.toContain("PRIVATE KEY");
  }
  expect(program.events.some((event) => JSON.stringify(event).includes(secret))).toBe(false);
});

test("a listener becomes encrypted, and plain again, on the port that it has", async () => {
  const made = await certificates();
  const pair = await made.issue("a", ["a.test"]);
  const { program, port } = await start({ certificates: pair });
  const config = JSON.parse(readFileSync(program.file, "utf8")) as {
    listeners: { web: { address: string; tls?: object } };
  };
  config.listeners.web.address = `127.0.0.1:0`;
  const { tls } = config.listeners.web;
  delete config.listeners.web.tls;
  program.configure(config);
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  expect((await curl(`a.test:${port}`, [], "http")).status).toBe(200);
  config.listeners.web.tls = tls ?? {};
  program.configure(config);
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  expect((await curl(`a.test:${port}`, ["--cacert", made.ca])).status).toBe(200);
});

test("PROXY protocol in front of TLS: the client that it names is the client", async () => {
  const made = await certificates();
  const { port } = await start(
    { certificates: await made.issue("a", ["a.test"]) },
    { proxyProtocol: "require", trustedProxies: "127.0.0.1" },
  );
  const answer = await curl(`a.test:${port}`, [
    "--cacert",
    made.ca,
    "--haproxy-protocol",
    "--haproxy-clientip",
    "192.0.2.44",
  ]);
  const plain = await curl(`a.test:${port}`, ["--cacert", made.ca, "--haproxy-protocol"]);
  expect(plain.status).toBe(200);
  expect(plain.body).toContain("x-forwarded-proto: https\n");
  // Curl before 8.2 cannot name another client.
  if (answer.status !== 0) expect(answer.body).toContain("x-forwarded-for: 192.0.2.44\n");
});

test("where a PROXY protocol header is only accepted, TLS without one is TLS, whoever sends it", async () => {
  const made = await certificates();
  for (const trustedProxies of ["127.0.0.1", "10.0.0.0/8"]) {
    const tls = { certificates: await made.issue(`for-${trustedProxies.length}`, ["a.test"]) };
    const { port } = await start(tls, { proxyProtocol: "accept", trustedProxies });
    const answer = await curl(`a.test:${port}`, ["--cacert", made.ca]);
    expect([trustedProxies, answer.status]).toEqual([trustedProxies, 200]);
  }
});

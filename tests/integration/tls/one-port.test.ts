// One port for TLS and for HTTP without it, told apart by the first byte, with the clients that people use and with bytes as
// nobody would send them.
// Needs: curl, openssl
import { afterEach, expect, test } from "bun:test";
import { connect } from "node:net";
import { readFileSync } from "node:fs";
import { cleanUp, configFor, later, run, until, type Running } from "../control/running.ts";
import { certificates, chopping, curl, startEcho, type Certificates } from "./stage.ts";

afterEach(cleanUp);

interface Started {
  readonly program: Running;
  readonly port: number;
  readonly made: Certificates;
  /** The configuration with this said of the listener and its pool. */
  config(listener: object, pool?: object): object;
}

async function start(listener: object, pool: object = {}): Promise<Started> {
  const made = await certificates();
  const pair = await made.issue("a", ["a.test"]);
  const echo = startEcho();
  later(() => echo.stop());
  const config = (about: object, more: object = {}): object =>
    configFor(0, [], {
      listeners: {
        web: { address: "127.0.0.1:0", tls: { certificates: pair, hsts: {} }, routes: [{ pool: "app" }], ...about },
      },
      pools: { app: { endpoints: [`127.0.0.1:${echo.port}`], ...more } },
    });
  const program = await run(config(listener, pool));
  return { program, port: await program.port(), made, config };
}

/** Sends these bytes and ends; everything that came back. */
function send(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let got = "";
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(bytes, "latin1"));
    socket.on("data", (chunk: Buffer) => (got += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(got));
  });
}

async function failures(program: Running, reason: string, count: number): Promise<boolean> {
  const { text } = await program.admin("GET", "/metrics");
  return text.includes(`plimsoll_tls_handshake_failures_total{listener="web",reason="${reason}"} ${count}\n`);
}

test("plainHttp: serve; each half with what belongs to it: scheme, HSTS, Secure", async () => {
  const { port, made } = await start(
    { plainHttp: "serve" },
    { sticky: { cookie: "stick", secret: "a-secret-of-thirty-two-characters" } },
  );
  const secure = await curl(`a.test:${port}`, ["--cacert", made.ca]);
  const plain = await curl(`a.test:${port}`, [], "http");
  expect([secure.status, plain.status]).toEqual([200, 200]);
  expect(secure.body).toContain("x-forwarded-proto: https\n");
  expect(plain.body).toContain("x-forwarded-proto: http\n");
  expect(plain.body).toContain(`forwarded: for=127.0.0.1;host="a.test:${port}";proto=http\n`);
  expect(secure.head.toLowerCase()).toContain("strict-transport-security: max-age=31536000");
  expect(plain.head.toLowerCase()).not.toContain("strict-transport-security");
  expect(secure.head).toMatch(/set-cookie: stick=[^\r]*; Secure/i);
  expect(plain.head).toMatch(/set-cookie: stick=/i);
  expect(plain.head).not.toContain("Secure");
});

test("plainHttp: redirect; a client that follows arrives, on the port that it knows", async () => {
  const { port, made } = await start({ plainHttp: "redirect" });
  const first = await curl(`a.test:${port}`, [], "http", "/cart?id=1");
  expect(first.status).toBe(308);
  expect(first.head).toContain(`Location: https://a.test:${port}/cart?id=1`);
  const followed = await curl(`a.test:${port}`, ["-L", "--cacert", made.ca], "http", "/cart?id=1");
  expect(followed.body).toContain("HTTP/1.1 200");
  expect(followed.body).toContain("x-forwarded-proto: https\n");
});

test("a PROXY header in three pieces, and TLS or HTTP behind it in pieces", async () => {
  const { port, made } = await start({ plainHttp: "serve", proxyProtocol: "accept", trustedProxies: "127.0.0.1" });
  const header = ["PROXY TCP4 203.0.1", "13.5 198.51.100.1 4711 ", "443\r\n"];
  for (const size of [1, 3, 700]) {
    const relay = await chopping(port, header, size);
    const secure = await curl(`a.test:${relay}`, ["--cacert", made.ca]);
    const plain = await curl(`a.test:${relay}`, [], "http");
    for (const [answer, scheme] of [
      [secure, "https"],
      [plain, "http"],
    ] as const) {
      expect([size, scheme, answer.status]).toEqual([size, scheme, 200]);
      expect(answer.body).toContain("x-forwarded-for: 203.0.113.5\n");
      expect(answer.body).toContain(`x-forwarded-proto: ${scheme}\n`);
    }
    // And without one, by proxies that send none.
    const bare = await chopping(port, [], size);
    expect((await curl(`a.test:${bare}`, ["--cacert", made.ca])).body).toContain("x-forwarded-for: 127.0.0.1\n");
    expect((await curl(`a.test:${bare}`, [], "http")).body).toContain("x-forwarded-for: 127.0.0.1\n");
  }
  // curl's own, before TLS as before HTTP.
  expect((await curl(`a.test:${port}`, ["--cacert", made.ca, "--haproxy-protocol"])).status).toBe(200);
  expect((await curl(`a.test:${port}`, ["--haproxy-protocol"], "http")).status).toBe(200);
});

test("rubbish: behind a handshake's first byte it is TLS's to refuse, elsewhere HTTP's; and nothing stays open", async () => {
  const { program, port } = await start({ plainHttp: "serve" });
  expect(await send(port, "\x16GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")).not.toContain("HTTP/1.1");
  expect(await until("it is counted", () => failures(program, "protocol", 1))).toBe(true);
  expect(await send(port, "\x00\x01\x02\r\n\r\n")).toStartWith("HTTP/1.1 400 ");
  expect(await send(port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).toStartWith("HTTP/1.1 505 ");
  expect(await send(port, "\r\nGET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")).toStartWith(
    "HTTP/1.1 200",
  );
  expect(await send(port, "")).toBe("");
  expect(await send(port, "G")).toBe("");
  await until("nothing is open", async () => {
    const { text } = await program.admin("GET", "/metrics");
    return text.includes('plimsoll_listener_connections_open{listener="web"} 0\n');
  });
});

test("a reload changes what becomes of them, and touches no connection", async () => {
  const { program, port, made, config } = await start({});
  const refused = await curl(`a.test:${port}`, [], "http");
  expect([refused.status, refused.body]).toEqual([400, "This port speaks HTTPS: ask again with https:// in front.\n"]);
  const open = Bun.spawn(
    ["openssl", "s_client", "-quiet", "-connect", `127.0.0.1:${port}`, "-servername", "a.test", "-CAfile", made.ca],
    { stdin: "pipe", stdout: "pipe", stderr: "ignore" },
  );
  later(() => open.kill());
  const reader = open.stdout.getReader();
  const ask = async (): Promise<string> => {
    void open.stdin.write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    await open.stdin.flush();
    let text = "";
    while (!text.includes("x-forwarded-proto")) text += Buffer.from((await reader.read()).value ?? []).toString();
    return text;
  };
  expect(await ask()).toContain("HTTP/1.1 200");
  for (const [plainHttp, status] of [
    ["redirect", 308],
    ["serve", 200],
    ["refuse", 400],
  ] as const) {
    program.configure(config({ plainHttp }));
    expect((await program.admin("POST", "/reload")).status).toBe(200);
    expect((await curl(`a.test:${port}`, [], "http")).status).toBe(status);
    expect((await curl(`a.test:${port}`, ["--cacert", made.ca])).status).toBe(200);
    expect(await ask()).toContain("HTTP/1.1 200");
  }
});

test("with TLS passed on, plain HTTP on its port is sent to https", async () => {
  const made = await certificates();
  const pair = await made.issue("a", ["a.test"]);
  const echo = startEcho({ cert: readFileSync(pair.cert, "utf8"), key: readFileSync(pair.key, "utf8") });
  later(() => echo.stop());
  const program = await run(
    configFor(0, [echo.port], {
      listeners: {
        web: { address: "127.0.0.1:0", protocol: "tls", plainHttp: "redirect", routes: [{ pool: "app" }] },
      },
    }),
  );
  const port = await program.port();
  expect((await curl(`a.test:${port}`, ["--cacert", made.ca])).status).toBe(200);
  const sent = await curl(`a.test:${port}`, [], "http", "/cart");
  expect([sent.status, sent.head.includes(`Location: https://a.test:${port}/cart`)]).toEqual([308, true]);
  const relay = await chopping(port, [], 1);
  expect((await curl(`a.test:${relay}`, ["--cacert", made.ca])).status).toBe(200);
  expect((await curl(`a.test:${relay}`, [], "http")).status).toBe(308);
});

// A PROXY protocol header in front of TLS to endpoints, as HAProxy (accept-proxy ssl) and nginx (ssl proxy_protocol) read it.
// Needs: haproxy, nginx
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { freePort } from "@plimsoll/testbed/processes";
import { cleanUp, later, type Running, until } from "../control/running.ts";
import { type Certificates, certificates } from "../tls/stage.ts";
import { client, get, haproxy, nginx, program } from "./programs.ts";

setDefaultTimeout(60_000);
afterEach(cleanUp);

/** Certificate and key in one file, as HAProxy reads them. */
async function pemFor(made: Certificates, name: string, wish = {}): Promise<string> {
  const { cert, key } = await made.issue(name, [name], wish);
  const file = made.path(`${name}.pem`);
  writeFileSync(file, readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
  return file;
}

/** Answers with the client that the header names, the name that was asked for, and whether the session was resumed. */
async function startHaproxy(pem: string): Promise<number> {
  const port = await freePort();
  const facts = "%[src]:%[src_port] sni=%[ssl_fc_sni] resumed=%[ssl_fc_is_resumed]";
  await haproxy(
    `frontend far
  mode http
  bind 127.0.0.1:${port} accept-proxy ssl crt ${pem}
  http-request return status 200 content-type text/plain lf-string "${facts}"`,
    [port],
  );
  return port;
}

async function startNginx(pem: string, close = false): Promise<number> {
  const port = await freePort();
  const facts =
    "connection=$connection $proxy_protocol_addr:$proxy_protocol_port sni=$ssl_server_name resumed=$ssl_session_reused";
  await nginx(
    `http { server {
  listen 127.0.0.1:${port} ssl proxy_protocol;
  ssl_certificate ${pem};
  ssl_certificate_key ${pem};
  ssl_session_cache shared:far:1m;
  ${close ? "keepalive_timeout 0;" : ""}
  location / { return 200 "${facts}"; }
} }`,
    [port],
  );
  return port;
}

const everything = [{ pool: "app" }];

/** How the only endpoint of `pool` stands with its probe, once it was asked. */
function probed(running: Running, pool: string) {
  return until(`${pool} was probed`, async () => {
    const { pools } = await running.status();
    const endpoint = pools.find((one) => one.name === pool)?.endpoints[0];
    return endpoint?.probe === null ? null : endpoint;
  });
}

test("requests, connections and probes reach HAProxy and nginx, in both versions", async () => {
  const made = await certificates();
  const pem = await pemFor(made, "app.internal");
  const ports = { haproxy: await startHaproxy(pem), nginx: await startNginx(pem) };
  const tls = { ca: made.ca, serverName: "app.internal" };
  // As many kinds of probes as make a connection themselves.
  const probes = [{ path: "/", interval: "500ms", timeout: "400ms" }, "tcp", "tls", "script"];
  const script = { script: [{ send: "HEAD / HTTP/1.0\r\n\r\n" }, { expect: "HTTP/1." }] };
  const pools = Object.fromEntries(
    Object.entries(ports).flatMap(([name, port]) =>
      (["v1", "v2"] as const).flatMap((version) =>
        probes.map((probe, index) => [
          `${name}${version}probe${index}`,
          {
            endpoints: [`127.0.0.1:${port}`],
            proxyProtocol: version,
            tls,
            readiness: probe === "script" ? script : probe,
            failOpen: false,
          },
        ]),
      ),
    ),
  );
  const names = Object.keys(pools);
  const listeners = Object.fromEntries(
    names.flatMap((pool) => [
      [`http-${pool}`, { address: "127.0.0.1:0", routes: [{ pool }] }],
      [`tcp-${pool}`, { address: "127.0.0.1:0", protocol: "tcp", routes: [{ pool }] }],
    ]),
  );
  const running = await program(listeners, pools);
  for (const pool of names) {
    const { probe, state } = await probed(running, pool);
    expect([pool, probe?.ok, probe?.detail, state]).toEqual([pool, true, expect.any(String), "ready"]);
    for (const protocol of ["http", "tcp"]) {
      const { port, body } = await get(await running.port(`${protocol}-${pool}`));
      expect([pool, protocol, body]).toEqual([
        pool,
        protocol,
        expect.stringContaining(`${client}:${port} sni=app.internal`),
      ]);
    }
  }
});

test("sessions are resumed behind the header", async () => {
  const made = await certificates();
  const port = await startNginx(await pemFor(made, "app.internal"), true);
  const running = await program(
    { web: { address: "127.0.0.1:0", routes: everything } },
    {
      app: {
        endpoints: [`127.0.0.1:${port}`],
        proxyProtocol: "v2",
        readiness: "off",
        tls: { ca: made.ca, serverName: "app.internal" },
      },
    },
  );
  const web = await running.port();
  const seen: string[] = [];
  for (let i = 0; i < 3; i++) seen.push(/resumed=(.)/.exec((await get(web)).body)?.[1] ?? "");
  expect(seen).toEqual([".", "r", "r"]);
});

test("what is wrong with an endpoint's certificate is the fault that it is without the header, and its probe says so", async () => {
  const made = await certificates();
  const other = await certificates();
  const named = await startNginx(await pemFor(made, "app.internal"));
  const old = await startNginx(await pemFor(made, "old.internal", { notBefore: 0, notAfter: Date.now() - 86_400_000 }));
  const plain = await freePort();
  await nginx(`http { server { listen 127.0.0.1:${plain} proxy_protocol; location / { return 200 ok; } } }`, [plain]);
  const cases = {
    misnamed: [named, { ca: made.ca, serverName: "other.internal" }, "upstream-certificate-misnamed"],
    invalid: [named, { ca: other.ca, serverName: "app.internal" }, "upstream-certificate-invalid"],
    expired: [old, { ca: made.ca, serverName: "old.internal" }, "upstream-certificate-expired"],
    plain: [plain, { ca: made.ca }, "upstream-tls-failed"],
    nobody: [await freePort(), { ca: made.ca }, "connect-refused"],
  } as const;
  const running = await program(
    {
      web: {
        address: "127.0.0.1:0",
        routes: Object.keys(cases).map((pool) => ({ match: { path: `/${pool}` }, pool })),
      },
    },
    Object.fromEntries(
      Object.entries(cases).map(([pool, [port, tls]]) => [
        pool,
        { endpoints: [`127.0.0.1:${port}`], proxyProtocol: "v2", readiness: "tls", tls },
      ]),
    ),
  );
  const web = await running.port();
  for (const [pool, [, , code]] of Object.entries(cases)) {
    const { body } = await get(web, `/${pool}`);
    expect([pool, body]).toEqual([pool, expect.stringMatching(/^HTTP\/1\.1 502 /)]);
    expect([pool, body]).toEqual([pool, expect.stringContaining(code)]);
    expect([pool, (await probed(running, pool)).probe?.ok]).toEqual([pool, false]);
  }
});

test("another endpoint is asked, with the same header, where the first one's certificate will not do", async () => {
  const made = await certificates();
  const bad = await startNginx(await pemFor(made, "other.internal"));
  const good = await startNginx(await pemFor(made, "app.internal"));
  const app = {
    endpoints: [`127.0.0.1:${bad}`, { address: `127.0.0.1:${good}`, backup: false }],
    balance: "first",
    proxyProtocol: "v1",
    readiness: "off",
    tls: { ca: made.ca, serverName: "app.internal" },
  };
  const running = await program(
    {
      web: { address: "127.0.0.1:0", routes: everything },
      tcp: { address: "127.0.0.1:0", protocol: "tcp", routes: everything },
    },
    { app },
  );
  for (const listener of ["web", "tcp"]) {
    const { port, body } = await get(await running.port(listener));
    expect([listener, body]).toEqual([listener, expect.stringContaining(`${client}:${port} sni=app.internal`)]);
  }
  const { text } = await running.admin("GET", "/metrics");
  const retries = [...text.matchAll(/^plimsoll_endpoint_retries_total\{.*\} (\d+)$/gm)].map(([, count]) =>
    Number(count),
  );
  expect(retries.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
});

test("a connection belongs to its client, who uses it again, and nobody else does", async () => {
  const made = await certificates();
  const port = await startNginx(await pemFor(made, "app.internal"));
  const tls = { ca: made.ca, serverName: "app.internal" };
  const running = await program(
    { web: { address: "127.0.0.1:0", routes: everything } },
    { app: { endpoints: [`127.0.0.1:${port}`], proxyProtocol: "v1", readiness: "off", tls } },
  );
  const web = await running.port();
  const said: (readonly string[])[][] = [];
  const clients = await Promise.all(
    [0, 1].map(async () => {
      let heard: (text: string) => void = () => {};
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: web,
        socket: { data: (_, bytes) => heard(bytes.toString()) },
      });
      later(() => socket.terminate());
      return {
        port: socket.localPort,
        ask: () =>
          new Promise<readonly string[]>((resolve) => {
            heard = (text) => resolve(/\r\n\r\nconnection=(\d+) [\d.]+:(\d+)/.exec(text)?.slice(1) ?? [text]);
            socket.write("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
          }),
      };
    }),
  );
  for (let round = 0; round < 3; round++) said.push([await clients[0]!.ask(), await clients[1]!.ask()]);
  const [connections = [], ports] = [0, 1].map((at) => said[0]?.map((one) => one[at]));
  expect(ports).toEqual(clients.map((each) => String(each.port)));
  expect(new Set(connections).size).toBe(2);
  expect(said).toEqual([said[0]!, said[0]!, said[0]!]);
});

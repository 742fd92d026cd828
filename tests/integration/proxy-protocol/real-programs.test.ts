// The PROXY protocol as HAProxy and nginx speak it, on either side of a whole program, in both versions.
// Needs: haproxy, nginx
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { freePort } from "@plimsoll/testbed/processes";
import { cleanUp, folder, later, until } from "../control/running.ts";
import { client, type Exchange, get, haproxy, nginx, program, streamModule } from "./programs.ts";

setDefaultTimeout(60_000);
afterEach(cleanUp);

/** An endpoint that answers with the header fields it was sent. */
function echo(): number {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => Response.json(Object.fromEntries(request.headers)),
  });
  later(() => server.stop(true));
  return server.port ?? 0;
}

const asked = { address: "127.0.0.1:0", trustedProxies: ["127.0.0.1"], proxyProtocol: "require" };

function fieldsOf({ body }: Exchange): Record<string, string> {
  expect(body).toStartWith("HTTP/1.1 200");
  return JSON.parse(body.slice(body.indexOf("{"), body.lastIndexOf("}") + 1)) as Record<string, string>;
}

test("from HAProxy, in both versions, and its health checks are answered", async () => {
  const running = await program(
    { web: { ...asked, routes: [{ pool: "app" }] } },
    { app: { endpoints: [`127.0.0.1:${echo()}`] } },
  );
  const web = await running.port();
  const [one, two] = [await freePort(), await freePort()];
  await haproxy(
    `listen one
  mode tcp
  bind 127.0.0.1:${one}
  server us 127.0.0.1:${web} send-proxy
listen two
  mode http
  option httpchk GET /health
  http-check send hdr Host shop.example
  bind 127.0.0.1:${two}
  http-request return status 200 content-type text/plain lf-string "up=%[srv_is_up(two/us)] checked=%[nbsrv(two)]" if { path /state }
  server us 127.0.0.1:${web} check inter 100ms fall 1 rise 2 send-proxy-v2 proxy-v2-options crc32c,unique-id`,
    [one, two],
  );
  for (const port of [one, two]) {
    const exchange = await get(port);
    const fields = fieldsOf(exchange);
    expect(fields["x-forwarded-for"]).toBe(client);
    expect(fields["x-forwarded-port"]).toBe(String(port));
  }
  // More checks than it takes to call us down have been answered by now.
  await until("many checks", async () => {
    const { text } = await running.admin("GET", "/metrics");
    return Number(/^plimsoll_listener_requests_total\{.*\} (\d+)$/m.exec(text)?.[1]) > 8;
  });
  expect((await get(two, "/state")).body).toContain("up=1 checked=1");
  expect((await get(web)).body).toContain("proxy-header-untrusted");
});

test("from HAProxy that ended TLS: the scheme, and what is known of it goes on to endpoints", async () => {
  const place = folder();
  const pem = join(place, "site.pem");
  const certificates = join(import.meta.dir, "../runtime/certificates");
  writeFileSync(
    pem,
    ["a-rsa.crt", "a-rsa.key"].map((name) => readFileSync(join(certificates, name), "utf8")).join("\n"),
  );
  const [far, near] = [await freePort(), await freePort()];
  await haproxy(
    `frontend far
  mode http
  bind 127.0.0.1:${far} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] name=%[fc_pp_authority] id=%[fc_pp_unique_id] scheme=%[req.hdr(x-forwarded-proto)]"`,
    [far],
  );
  const running = await program(
    { web: { ...asked, routes: [{ pool: "app" }] } },
    { app: { endpoints: [`127.0.0.1:${far}`], proxyProtocol: "v2" } },
  );
  await haproxy(
    `listen near
  mode tcp
  unique-id-format id-%[src]-%[src_port]
  bind 127.0.0.1:${near} ssl crt ${pem} alpn http/1.1
  server us 127.0.0.1:${await running.port()} send-proxy-v2 proxy-v2-options ssl,ssl-cipher,cert-cn,authority,unique-id,crc32c`,
    [near],
  );
  const { port, body } = await new Promise<Exchange>((resolve, reject) => {
    const carrier = connect({ port: near, host: "127.0.0.1", localAddress: client });
    let text = "";
    const socket = connectTls({ socket: carrier, servername: "shop.example", rejectUnauthorized: false }, () => {
      socket.write("GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    });
    socket.on("data", (bytes) => (text += bytes.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve({ port: carrier.localPort ?? 0, body: text }));
  });
  const [, local = ""] = /^127\.0\.0\.5:(\d+)/m.exec(body) ?? [];
  if (port !== 0) expect(local).toBe(String(port));
  expect(body).toContain(`127.0.0.5:${local} name=shop.example id=id-127.0.0.5-${local} scheme=https`);
});

test("to HAProxy and nginx, in both versions, probes included; connections are each client's own", async () => {
  const [hap, ngx] = [await freePort(), await freePort()];
  await haproxy(
    `frontend far
  mode http
  bind 127.0.0.1:${hap} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port]"`,
    [hap],
  );
  await nginx(
    `http { server {
  listen 127.0.0.1:${ngx} proxy_protocol;
  set_real_ip_from 127.0.0.1;
  real_ip_header proxy_protocol;
  location / { return 200 "$remote_addr:$remote_port $proxy_protocol_server_addr:$proxy_protocol_server_port"; }
} }`,
    [ngx],
  );
  const readiness = { path: "/", interval: "500ms", timeout: "400ms" };
  const pools = Object.fromEntries(
    [hap, ngx].flatMap((port) =>
      (["v1", "v2"] as const).map((version) => [
        `to${port}${version}`,
        { endpoints: [`127.0.0.1:${port}`], proxyProtocol: version, readiness, failOpen: false },
      ]),
    ),
  );
  const routes = Object.keys(pools).map((pool) => ({ match: { path: `/${pool}` }, pool }));
  const running = await program({ web: { address: "127.0.0.1:0", routes } }, pools);
  const web = await running.port();
  for (const pool of Object.keys(pools)) {
    await until(`${pool} is ready`, async () => {
      const status = await running.status();
      return status.pools.find((one) => one.name === pool)?.endpoints[0]?.state === "ready";
    });
    const { port, body } = await get(web, `/${pool}`);
    expect([pool, body]).toEqual([pool, expect.stringContaining(`127.0.0.5:${port} 127.0.0.1:${web}`)]);
  }
});

test("to a program that does not expect it nothing gets through, and its probe says so", async () => {
  const port = await freePort();
  await nginx(`http { server { listen 127.0.0.1:${port}; location / { return 200 ok; } } }`, [port]);
  const readiness = { path: "/", interval: "300ms", timeout: "200ms" };
  const running = await program(
    { web: { address: "127.0.0.1:0", routes: [{ pool: "app" }] } },
    { app: { endpoints: [`127.0.0.1:${port}`], proxyProtocol: "v1", readiness } },
  );
  await until("the probe failed", async () => {
    const { pools } = await running.status();
    return pools[0]?.endpoints[0]?.probe?.ok === false;
  });
  const detail = (await running.status()).pools[0]?.endpoints[0]?.probe?.detail ?? "";
  expect(detail).toMatch(/400|invalid answer|closed|reset/);
});

test.skipIf(!existsSync(streamModule))("through everything: nginx, a tcp listener, and nginx again", async () => {
  const [far, near] = [await freePort(), await freePort()];
  await nginx(
    `http { server {
  listen 127.0.0.1:${far} proxy_protocol;
  location / { return 200 "$proxy_protocol_addr:$proxy_protocol_port"; }
} }`,
    [far],
  );
  const running = await program(
    { tcp: { ...asked, protocol: "tcp", routes: [{ pool: "app" }] } },
    { app: { endpoints: [`127.0.0.1:${far}`], proxyProtocol: "v2", readiness: "off" } },
  );
  await nginx(
    `stream { server { listen 127.0.0.1:${near}; proxy_pass 127.0.0.1:${await running.port("tcp")}; proxy_protocol on; } }`,
    [near],
    `load_module ${streamModule};`,
  );
  const { port, body } = await get(near);
  expect(body).toContain(`127.0.0.5:${port}`);
});

// All rivals must be set to the same work; these are the points in which a benchmark is most easily made unfair.
import { expect, test } from "bun:test";
import { configuration as caddy } from "./caddy.ts";
import { configuration as haproxy } from "./haproxy.ts";
import { configuration as nginx } from "./nginx.ts";
import { configuration as plimsoll } from "./plimsoll.ts";
import type { Setting } from "./rival.ts";
import { rivals } from "./table.ts";

const setting: Setting = {
  port: 23_000,
  adminPort: 23_001,
  endpoints: ["127.0.0.1:21000", "127.0.0.1:21001"],
  routes: 0,
  folder: "/folder",
  layer: "http",
  tunnels: false,
  proxyProtocol: false,
  connections: 1000,
};

const all = { plimsoll, nginx, haproxy, caddy };

test("every rival of the table is looked at here", () => {
  expect(rivals.map((one) => one.name)).toEqual(Object.keys(all));
});

test.each(Object.entries(all))(
  "%s listens on loopback only, knows every endpoint, and logs no access",
  (_, configure) => {
    const text = configure(setting);
    expect(text).toContain("127.0.0.1");
    for (const endpoint of setting.endpoints) expect(text).toContain(endpoint);
    expect(text).not.toMatch(/0\.0\.0\.0|\[::\]|access_log (?!off)|option httplog|access: (?!none)/);
  },
);

test.each(Object.entries(all))("%s chooses the better of two", (name, configure) => {
  const words = {
    plimsoll: "balance: p2c",
    nginx: "random two least_conn",
    haproxy: "random(2)",
    caddy: "random_choose 2",
  };
  expect(configure(setting)).toContain(words[name as keyof typeof words]);
});

test.each(Object.entries(all))("%s has as many routes as it was told, and nothing beside them", (name, configure) => {
  const text = configure({ ...setting, routes: 3 });
  if (name === "haproxy") {
    expect(text).toContain("map_beg(/folder/routes.map)");
    expect(text).not.toContain("default_backend");
    return;
  }
  for (const route of ["/r0/", "/r1/", "/r2/"]) expect(text).toContain(route);
  expect(text).not.toContain("/r3/");
  expect(text).not.toContain("location / ");
});

test("with TLS: the same certificate, the same versions", () => {
  const secure = { ...setting, layer: "https" } as const;
  expect(plimsoll(secure)).toContain("tls: { certificates: { cert: /folder/bench.crt, key: /folder/bench.key } }");
  expect(nginx(secure)).toContain("listen 127.0.0.1:23000 ssl");
  expect(nginx(secure)).toContain("ssl_protocols TLSv1.2 TLSv1.3;");
  expect(haproxy(secure)).toContain("ssl crt /folder/bench.pem ssl-min-ver TLSv1.2");
  expect(caddy(secure)).toContain("tls /folder/bench.crt /folder/bench.key");
  // Versions 1.2 and 1.3 are its defaults, and HTTP/2 would be different work.
  expect(caddy(secure)).toContain("protocols h1");
  for (const configure of Object.values(all)) expect(configure(setting)).not.toMatch(/ssl|tls|protocols/);
});

test("with a PROXY header: those that pass TCP on send version 1, and only then", () => {
  const stream = { ...setting, layer: "tcp" } as const;
  const words = { plimsoll: "proxyProtocol: v1", nginx: "proxy_protocol on;", haproxy: "send-proxy" };
  for (const [name, word] of Object.entries(words)) {
    const configure = all[name as keyof typeof words];
    expect(configure({ ...stream, proxyProtocol: true })).toContain(word);
    expect(configure(stream)).not.toContain(word);
  }
});

test("with tunnels: nginx is told to upgrade, which the others do by themselves", () => {
  expect(nginx({ ...setting, tunnels: true })).toContain("proxy_set_header Upgrade $http_upgrade;");
  expect(nginx(setting)).toContain('proxy_set_header Connection "";');
});

test("one worker or thread each", () => {
  expect(plimsoll(setting)).toContain("workers: 1");
  expect(nginx(setting)).toContain("worker_processes 1;");
  expect(haproxy(setting)).toContain("nbthread 1");
});

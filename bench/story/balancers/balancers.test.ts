// The points in which the comparison is most easily made unfair: everybody is told the same, and the rivals' best is used.
import { expect, test } from "bun:test";
import type { StorySetting } from "./balancer.ts";
import { configuration as haproxy } from "./haproxy.ts";
import { configuration as nginx } from "./nginx.ts";
import { configuration as plimsoll } from "./plimsoll.ts";
import { balancers } from "./table.ts";

const setting: StorySetting = {
  port: 23_000,
  adminPort: 23_001,
  folder: "/folder",
  endpoints: ["127.0.0.1:21000", "127.0.0.1:21001"],
  probe: { interval: 500, timeout: 400, rise: 2, fall: 3 },
  connect: 1100,
  firstByte: 5200,
  keepAlive: 5000,
  window: 15_300,
};

const all = { plimsoll: plimsoll(setting), nginx: nginx(setting, new Set()), haproxy: haproxy(setting) };

test("every balancer of the table is looked at here", () => {
  expect(balancers.map((one) => one.name)).toEqual(Object.keys(all));
});

test.each(Object.entries(all))("%s stays on loopback, knows all endpoints and the same times", (_, text) => {
  expect(text).not.toMatch(/0\.0\.0\.0|\[::\]/);
  for (const wanted of [...setting.endpoints, "127.0.0.1:23000", "1100ms", "5200ms"]) expect(text).toContain(wanted);
});

test("as many tries, and none of what is not safe to repeat", () => {
  expect(all.plimsoll).toContain("retry: { attempts: 3, on: [connect, reset, timeout] }");
  expect(all.nginx).toContain("proxy_next_upstream error timeout invalid_header;");
  expect(all.nginx).toContain("proxy_next_upstream_tries 3;");
  expect(all.nginx).not.toContain("non_idempotent");
  // HAProxy counts the tries after the first.
  expect(all.haproxy).toContain("retries 2");
  expect(all.haproxy).toContain("disable-l7-retry unless METH_GET");
});

test("rivals have their best: probes, outliers, kept connections that end before the application's", () => {
  expect(all.haproxy).toContain("check inter 500ms rise 2 fall 3 observe layer7");
  expect(all.haproxy).toContain("on-error mark-down");
  expect(all.haproxy).toContain("pool-purge-delay 1000ms");
  expect(all.nginx).toContain("max_fails=3");
  expect(all.nginx).toContain("keepalive_timeout 4000ms;");
  expect(all.nginx).toContain("worker_shutdown_timeout 15300ms;");
});

test("nginx is drained by marking the endpoint down", () => {
  const text = nginx(setting, new Set(["127.0.0.1:21001"]));
  expect(text).toContain("server 127.0.0.1:21001 down;");
  expect(text).not.toContain("server 127.0.0.1:21000 down;");
});

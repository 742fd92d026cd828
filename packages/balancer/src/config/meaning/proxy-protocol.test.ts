import { expect, test } from "bun:test";
import { loadConfig } from "../load.ts";

const reader = {
  resolve: (_: string, written: string) => written,
  readFile: (path: string): string => {
    throw new Error(path);
  },
};

/** Paths of what is said of the PROXY protocol, of a listener and a pool with these lines. */
function said(listener: string, pool = "", route = "pool: app"): readonly string[] {
  const text = `
listeners:
  web:
    address: 127.0.0.1:8080
    ${listener}
    routes: [{ ${route} }]
pools:
  app:
    endpoints: [127.0.0.1:3001]
    ${pool}
  other:
    endpoints: [127.0.0.1:3002]
`;
  const loaded = loadConfig({ text, file: "plimsoll.yaml" }, {}, reader);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  return problems.map(({ severity, path }) => `${severity} ${path}`).filter((one) => one.includes("proxyProtocol"));
}

test("where nobody is trusted, nobody could connect, or nothing would be read", () => {
  expect(said("proxyProtocol: require")).toEqual(["error listeners.web.proxyProtocol"]);
  expect(said("proxyProtocol: accept")).toEqual(["warning listeners.web.proxyProtocol"]);
  expect(said("proxyProtocol: require\n    trustedProxies: 10.0.0.0/8")).toEqual([]);
  expect(said("proxyProtocol: off")).toEqual([]);
});

test("in front of TLS to the endpoints it is as good as without", () => {
  expect(said("", "proxyProtocol: v2\n    tls: {}", "pool: other")).toEqual([]);
  expect(said("", "proxyProtocol: v1\n    tls: {}")).toEqual(["warning pools.app.proxyProtocol"]);
});

test("what it costs to speak for clients is told, to those who pay it", () => {
  expect(said("", "proxyProtocol: v2")).toEqual(["warning pools.app.proxyProtocol"]);
  expect(said("", "proxyProtocol: v1", "split: [{ pool: app, weight: 1 }, { pool: other, weight: 1 }]")).toEqual([
    "warning pools.app.proxyProtocol",
  ]);
  expect(said("", "proxyProtocol: v2", "pool: other")).toEqual([]);
  expect(said("", "proxyProtocol: v3")).toEqual(["error pools.app.proxyProtocol"]);
});

test("datagrams: version 2 to endpoints, and from nobody", () => {
  expect(said("protocol: udp", "proxyProtocol: v2")).toEqual([]);
  expect(said("protocol: udp", "proxyProtocol: v1")).toEqual(["error pools.app.proxyProtocol"]);
  expect(said("protocol: udp\n    proxyProtocol: require\n    trustedProxies: 10.0.0.0/8")).toEqual([
    "error listeners.web.proxyProtocol",
  ]);
});

import { expect, test } from "bun:test";
import { loadConfig } from "../load.ts";

const reader = {
  resolve: (_: string, written: string) => written,
  readFile: (path: string): string => {
    throw new Error(path);
  },
};

/** What is said of a listener with these lines and its pool with that one. */
function said(listener: string, pool = "readiness: off"): readonly string[] {
  const text = `
listeners:
  dns:
    ${listener}
    routes: [{ pool: app }]
pools:
  app:
    endpoints: [127.0.0.1:3001]
    ${pool}
`;
  const loaded = loadConfig({ text, file: "plimsoll.yaml" }, {}, reader);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  return problems.map(({ severity, path }) => `${severity} ${path}`);
}

test("a listener of datagrams is planned", () => {
  expect(said("address: 127.0.0.1:53\n    protocol: udp\n    udp: { idle: 5s, maxFlows: 10, answers: 1 }")).toEqual([]);
});

test("flows are asked of listeners that have them", () => {
  expect(said("address: 127.0.0.1:53\n    protocol: tcp\n    udp: { idle: 5s }")).toEqual(["error listeners.dns.udp"]);
});

test("an answer may leave from another address than was asked", () => {
  for (const address of [":53", '"[::]:53"'])
    expect(said(`address: ${address}\n    protocol: udp`)).toEqual(["warning listeners.dns.address"]);
});

test("who gets datagrams is not found ready by TCP unless somebody says so", () => {
  const udp = "address: 127.0.0.1:53\n    protocol: udp";
  expect(said(udp, "")).toEqual(["warning pools.app"]);
  expect(said(udp, "readiness: tcp")).toEqual([]);
  expect(said("address: 127.0.0.1:53\n    protocol: tcp", "")).toEqual([]);
});

test("the same port may be one of TCP and one of UDP", () => {
  const both =
    "address: 127.0.0.1:53\n    protocol: udp\n    routes: [{ pool: app }]\n  tcp:\n    address: 127.0.0.1:53";
  expect(said(`${both}\n    protocol: tcp`)).toEqual([]);
  expect(said(`${both}\n    protocol: udp`)).toEqual(["error listeners.tcp.address"]);
});

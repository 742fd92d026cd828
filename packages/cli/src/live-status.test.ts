import { expect, test } from "bun:test";
import type { EndpointStatus, Status } from "@plimsoll/balancer/src/control/status.ts";
import { renderStatus } from "./live-status.ts";

function endpoint(over: Partial<EndpointStatus>): EndpointStatus {
  return {
    id: "127.0.0.1:3001",
    state: "ready",
    reason: "a probe passed: status 200",
    inFlight: 0,
    tunnels: 0,
    requests: 0,
    failures: 0,
    ejection: null,
    ejections: 0,
    share: 1,
    drain: null,
    probe: null,
    ...over,
  } as EndpointStatus;
}

/** Only what is shown of a pool. */
function shown(endpoints: readonly EndpointStatus[], failsOpen = false): string {
  const drain = { configured: 30_000, window: 30_000, longestSeen: 0 };
  return renderStatus({
    version: "0.1.0",
    readiness: "ready",
    uptime: 1_000,
    workers: [],
    listeners: [],
    leaving: [],
    pools: [{ name: "api", drain, endpoints, failsOpen }],
  } as unknown as Status);
}

test("an ejected endpoint is shown as such, with what it did and how long it lasts", () => {
  const reason = "7 tries in a row failed (7 timeouts), 0 of its peers' 60";
  const ejection = { from: Date.now(), until: Date.now() + 12_400, reason, times: 1 };
  expect(shown([endpoint({ ejection, share: 0.1 })])).toMatch(
    /127\.0\.0\.1:3001 +ejected .*7 tries in a row failed \(7 timeouts\), 0 of its peers' 60; 12s left\n/,
  );
});

test("one that warms up says how far it is, one that is warm says nothing", () => {
  const text = shown([endpoint({ share: 0.404 }), endpoint({ id: "127.0.0.1:3002" })]);
  expect(text).toMatch(/3001 +ready .*status 200; warming up, 40 % of its share\n/);
  expect(text).toMatch(/3002 +ready .*status 200\n/);
});

test("a probe that says something else than the state is told, before it changes it", () => {
  const probe = { what: "GET /readyz", at: 0, ok: false, detail: "status 503, expected 200-299", took: 1, inRow: 2 };
  expect(shown([endpoint({ probe })])).toContain("; but its last 2 probes failed: status 503, expected 200-299\n");
  expect(shown([endpoint({ probe: { ...probe, ok: true } })])).not.toContain("but its last");
  expect(shown([endpoint({ state: "draining", probe })])).not.toContain("but its last");
});

test("a pool that fails open says so", () => {
  expect(shown([endpoint({ state: "unready" })], true)).toContain("\nFAILS OPEN: nobody is ready");
  expect(shown([endpoint({ state: "unready" })])).not.toContain("FAILS OPEN");
});

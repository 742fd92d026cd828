import { expect, test } from "bun:test";
import type { EndpointStatus, Status } from "@plimsoll/balancer/src/control/status.ts";
import { ladderOf } from "@plimsoll/balancer/src/config/hierarchy/ladder.ts";
import { waysOf } from "@plimsoll/balancer/src/config/hierarchy/ways.ts";
import { planForUp } from "@plimsoll/balancer/src/config/up.ts";
import type { LadderStatus } from "@plimsoll/balancer/src/control/ladder-status.ts";
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
    unreachableUntil: 0,
    ejections: 0,
    share: 1,
    drain: null,
    probe: null,
    ...over,
  } as EndpointStatus;
}

const unknownHierarchy: LadderStatus = {
  ladders: [],
  more: 0,
  observed: { p50: null, p99: null, longest: null, idle: null },
  contradictions: [],
};

/** Only what is shown of a pool. */
function shown(
  endpoints: readonly EndpointStatus[],
  failsOpen = false,
  hierarchy: LadderStatus = unknownHierarchy,
  certificates: Partial<Status["certificates"][number]>[] = [],
): string {
  const drain = { configured: 30_000, window: 30_000, longestSeen: 0 };
  return renderStatus({
    version: "0.1.0",
    readiness: "ready",
    uptime: 1_000,
    workers: [],
    listeners: [],
    leaving: [],
    certificates,
    pools: [{ name: "api", drain, endpoints, failsOpen, hierarchy }],
  } as unknown as Status);
}

test("certificates that are ordered are shown with their end and the next try", () => {
  expect(shown([])).not.toContain("CERTIFICATE");
  const at = Date.UTC(2026, 11, 24, 18, 30);
  const text = shown([], false, unknownHierarchy, [
    { names: ["a.example", "b.example"], state: "valid", notAfter: at + 1, next: at, problem: "" },
    { names: ["c.example"], state: "failing", notAfter: 0, next: at, problem: "c.example: connection refused" },
  ]);
  expect(text).toMatch(/a\.example, b\.example +valid +2026-12-24 18:30 +2026-12-24 18:30\n/);
  expect(text).toMatch(/c\.example +failing +- +2026-12-24 18:30 +c\.example: connection refused\n/);
});

test("an ejected endpoint is shown as such, with what it did and how long it lasts", () => {
  const reason = "7 tries in a row failed (7 timeouts), 0 of its peers' 60";
  const ejection = { from: Date.now(), until: Date.now() + 12_400, reason, times: 1 };
  expect(shown([endpoint({ ejection, share: 0.1 })])).toMatch(
    /127\.0\.0\.1:3001 +ejected .*7 tries in a row failed \(7 timeouts\), 0 of its peers' 60; 12s left\n/,
  );
});

test("one that could not be connected to says so, and not that it warms up", () => {
  const text = shown([endpoint({ share: 0.1, unreachableUntil: Date.now() + 3_200 })]);
  expect(text).toMatch(/3001 +ready .*status 200; connecting to it failed, asked again in 3s\n/);
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

test("the timeout hierarchy is told as it is set and as it was observed", () => {
  const plan = planForUp({ port: 8080, endpoints: [] });
  const pools = plan.pools.map(({ pool }) => ({
    ...pool,
    declared: { ...pool.declared, client: 90_000, app: 20_000 },
  }));
  const ladders = waysOf({ ...plan, pools }).map((way) => ladderOf(way, null));
  const observed = { p50: 12.3, p99: 340, longest: 41_000, idle: 4_000 };
  const text = shown([], false, { ladders, more: 2, observed, contradictions: ["it took longer"] });
  expect(text).toContain("\ntimeouts: client 1m30s > balancer 1m26s > one try 1m > application 20s\n");
  expect(text).toContain("\ntimeouts of 2 more routes: with --json\n");
  expect(text).toContain("\nobserved: p50 12.3 ms, p99 340 ms; longest lately 41s; connections rest 4s at most\n");
  expect(text).toContain("\n! it took longer\n");
  expect(shown([])).not.toContain("observed");
});

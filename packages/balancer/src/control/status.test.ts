import { describe, expect, test } from "bun:test";
import { EndpointState, SharedTable, StateCell } from "../observe/table.ts";
import { buildRotation } from "../pool/rotation.ts";
import { Endpoint } from "../pool/endpoint.ts";
import { endpointPlan, poolPlan, readiness } from "../pool/fixtures.ts";
import type { PoolPlan } from "../pool/plan.ts";
import { poolStatus } from "./status.ts";

const slowStart = 30_000;
const now = 100_000;

interface Standing {
  /** Ms since it came in; Infinity = it was there from the start. */
  readonly age: number;
  readonly state?: keyof typeof EndpointState;
  readonly backup?: boolean;
}

/** Shares as the status tells them, and as a worker has them. */
function sharesOf(balance: PoolPlan["balance"], standings: readonly Standing[]) {
  const table = SharedTable.local({ workers: 1, endpoints: 8, pools: 1, listeners: 1, sessions: 0 });
  const endpoints = standings.map(({ backup }, slot) => endpointPlan(slot, { backup: backup ?? false }));
  const pool = poolPlan({ balance, slowStart, readiness, endpoints });
  for (const [slot, { age, state }] of standings.entries()) {
    table.cells[table.state(slot) + StateCell.state] = EndpointState[state ?? "ready"];
    table.cells[table.state(slot) + StateCell.warmFrom] = age === Infinity ? 0 : now - age;
  }
  const [status] = poolStatus(
    table,
    { listeners: [], pools: [pool] },
    { of: () => undefined, failsOpen: () => false },
    { of: () => null, underWay: () => ({ inFlight: 0, exchanges: 0, tunnels: 0, oldest: 0 }) },
    { ejection: () => null },
    { last: () => null },
    { lag: 0, window: 0, stopGrace: 0 },
    now,
  );
  const clock = { now: () => now, wall: () => now };
  const load = { own: 0, others: 0 };
  const worker = endpoints.map((each) => new Endpoint(pool, each, { table, row: 0, clock }, load));
  buildRotation(pool, worker, now, () => 0, { clock, load, hashBalance: 0 });
  return { told: status!.endpoints.map(({ share }) => share), worker: worker.map(({ share }) => share) };
}

describe("shares are told as workers have them", () => {
  test.each(["p2c", "ringHash", "maglev"] as const)("%s", (balance) => {
    const hashes = balance !== "p2c";
    const late = sharesOf(balance, [{ age: Infinity }, { age: 15_000 }, { age: 6_000 }]);
    expect(late).toEqual({ told: [1, 0.5, 0.2], worker: [1, 0.5, 0.2] });
    const together = sharesOf(balance, [{ age: 15_000 }, { age: 12_000 }]);
    const shares = hashes ? [1, 1] : [0.5, 0.4];
    expect(together).toEqual({ told: shares, worker: shares });
    // One that is out, or waits as a backup, is nobody to be colder than.
    for (const out of [{ state: "unready" }, { state: "unknown" }, { state: "draining" }, { backup: true }] as const) {
      const { told, worker } = sharesOf(balance, [{ age: 15_000 }, { age: 12_000 }, { age: Infinity, ...out }]);
      expect(told.slice(0, 2)).toEqual(shares);
      expect(worker.slice(0, 2)).toEqual(shares);
    }
  });
});

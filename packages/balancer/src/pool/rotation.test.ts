import { describe, expect, test } from "bun:test";
import { endpointPlan, makePool, makeWorker, poolPlan, readiness, setState } from "./fixtures.ts";
import type { PoolPlan } from "./plan.ts";
import { select } from "./rotation.ts";

/** A probed pool of endpoints given as "<state>[ backup][ zone=z][ out]", and who is selected, by index. */
function selected(endpoints: readonly string[], over: Partial<PoolPlan> = {}) {
  const worker = makeWorker();
  const plan = poolPlan({
    readiness,
    endpoints: endpoints.map((text, slot) =>
      endpointPlan(slot, {
        backup: text.includes("backup"),
        zone: /zone=(\w+)/.exec(text)?.[1] ?? "",
        weight: Number(/weight=(\d+)/.exec(text)?.[1] ?? 1),
      }),
    ),
    ...over,
  });
  const pool = makePool(plan, worker);
  for (const endpoint of pool.endpoints) setState(worker, endpoint, "ready");
  for (const [index, text] of endpoints.entries()) {
    if (text.includes("out")) pool.endpoints[index]!.connectFailed(worker.time.now, true);
  }
  for (const [index, text] of endpoints.entries()) {
    setState(worker, pool.endpoints[index]!, text.split(" ")[0] as "ready");
  }
  const { usable, spill, failOpen } = select(plan, pool.endpoints, worker.time.now);
  return { usable: usable.map((one) => one.slot), spill: spill.map((one) => one.slot), failOpen };
}

const closed = { spill: [], failOpen: false };
const open = { spill: [], failOpen: true };

describe("tiers", () => {
  test("primaries that are ready, and no backup", () => {
    expect(selected(["ready", "unready", "ready backup", "ready"])).toEqual({ usable: [0, 3], ...closed });
  });
  test("backups when no primary is ready", () => {
    expect(selected(["unready", "draining", "ready backup", "unready backup"])).toEqual({ usable: [2], ...closed });
  });
  test("backups when every primary is ejected", () => {
    expect(selected(["ready out", "ready out", "ready backup"])).toEqual({ usable: [2], ...closed });
  });
  test("a new endpoint waits for its first pass while another is ready", () => {
    expect(selected(["ready", "unknown"])).toEqual({ usable: [0], ...closed });
  });
  test("an ejected one stays out while another is ready", () => {
    expect(selected(["ready out", "ready"])).toEqual({ usable: [1], ...closed });
  });
  test("weight 0 gets nothing, ever", () => {
    expect(selected(["ready weight=0", "unready"])).toEqual({ usable: [1], ...open });
  });
});

describe("when nobody is ready", () => {
  test("fails open over what is unready or unknown, primaries first", () => {
    expect(selected(["unready", "unknown", "unready backup"])).toEqual({ usable: [0, 1], ...open });
    expect(selected(["disabled", "unready backup"])).toEqual({ usable: [1], ...open });
  });
  test("does not fail open where it was told not to", () => {
    expect(selected(["unready", "unknown"], { failOpen: false })).toEqual({ usable: [], ...closed });
  });
  test("who refused connections a moment ago is not asked while another can be", () => {
    expect(selected(["unready out", "unready", "unready out"])).toEqual({ usable: [1], ...open });
    expect(selected(["unready out", "unready out", "unready backup"])).toEqual({ usable: [2], ...open });
    expect(selected(["unready out", "disabled"])).toEqual({ usable: [0], ...open });
  });
  test("never brings back what somebody took out", () => {
    expect(selected(["draining", "disabled"])).toEqual({ usable: [], ...closed });
    expect(selected(["draining", "unready"])).toEqual({ usable: [1], ...open });
  });
  test("ejection alone does not empty a pool, whether it fails open or not", () => {
    // The second is ejected while the third is ready; then the third becomes unready.
    for (const failOpen of [true, false]) {
      expect(selected(["draining", "ready out", "unready"], { failOpen })).toEqual({ usable: [1], ...closed });
    }
  });
});

describe("zones", () => {
  test("keeps to its own, and the others of the tier take the surplus", () => {
    const zones = ["ready zone=a", "ready zone=b", "ready zone=a", "ready zone=b backup"];
    expect(selected(zones, { zone: "a" })).toEqual({ usable: [0, 2], spill: [1], failOpen: false });
    expect(selected(zones)).toEqual({ usable: [0, 1, 2], ...closed });
  });
  test("with half of it left, still its own", () => {
    const zones = ["ready zone=a", "unready zone=a", "ready zone=b"];
    expect(selected(zones, { zone: "a" })).toEqual({ usable: [0], spill: [2], failOpen: false });
  });
  test("with less than half of its weight left, all zones", () => {
    const zones = ["ready zone=a", "unready zone=a weight=2", "ready zone=b"];
    expect(selected(zones, { zone: "a" })).toEqual({ usable: [0, 2], ...closed });
  });
  test("with nobody of its own, the others", () => {
    expect(selected(["ready zone=b", "ready zone=c"], { zone: "a" })).toEqual({ usable: [0, 1], ...closed });
    expect(selected(["unready zone=a", "ready zone=b"], { zone: "a" })).toEqual({ usable: [1], ...closed });
  });
  test("a near backup is no reason to leave a far primary", () => {
    expect(selected(["ready zone=b", "ready zone=a backup"], { zone: "a" })).toEqual({ usable: [0], ...closed });
  });
});

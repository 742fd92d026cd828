import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Seen } from "./probe.ts";
import { isChanging, observe, type Standing, unprobed } from "./threshold.ts";

const plan = { rise: 2, fall: 3 };
const pass = { ok: true, status: 200, detail: "status 200", took: 1 };
const fail = { ok: false, detail: "connection refused", took: 1 };

const drain = { ok: false, status: 404, drain: "status", detail: "status 404", took: 1 } as const;
const later = { ok: false, status: 503, drain: "retry-after", detail: "status 503", took: 1 } as const;
const probes: Readonly<Record<string, Seen>> = { "+": pass, "-": fail, d: drain, a: later };

/** Verdicts after each probe: "+" passes, "-" fails, "d" asks to be drained by its status, "a" by Retry-After. */
function verdicts(history: string, start: Standing = unprobed(0)): string {
  let standing = start;
  let text = "";
  for (const [index, probe] of [...history].entries()) {
    standing = observe(standing, probes[probe] ?? fail, plan, index + 1).standing;
    text += { unknown: "?", ready: "R", unready: "U", draining: "D" }[standing.verdict];
  }
  return text;
}

test("a new endpoint is ready after one pass", () => {
  expect(verdicts("+")).toBe("R");
  expect(verdicts("--+")).toBe("??R");
});

test("a new endpoint that never passes becomes unready, and then has to rise", () => {
  expect(verdicts("---+")).toBe("??UU");
  expect(verdicts("---++")).toBe("??UUR");
});

test("it takes `fall` failures in a row, and a pass begins the count again", () => {
  expect(verdicts("+--+--+---")).toBe("RRRRRRRRRU");
});

test("it takes `rise` passes in a row, and a failure begins the count again", () => {
  expect(verdicts("+---+-+-++")).toBe("RRRUUUUUUR");
});

test("a ready endpoint that asks by its status drains at once, and its next pass brings it back", () => {
  expect(verdicts("+d")).toBe("RD");
  expect(verdicts("+ddddd+")).toBe("RDDDDDR");
  expect(verdicts("+d+d")).toBe("RDRD");
});

test("Retry-After drains after `fall` failures: overload guards send it for a moment, too", () => {
  expect(verdicts("+aa+aaaaa+")).toBe("RRRRRRDDDR");
  expect(verdicts("+-aa")).toBe("RRRD");
  expect(verdicts("+aa-")).toBe("RRRU");
});

test("one that drains and then fails becomes unready, counted from its first failure, and has to rise", () => {
  expect(verdicts("+d---")).toBe("RDDDU");
  expect(verdicts("+dddd--d--d---++")).toBe("RDDDDDDDDDDDDUUR");
});

test("one that was not ready has nothing to be drained of: asking is failing", () => {
  expect(verdicts("ddd")).toBe("??U");
  expect(verdicts("aaa+")).toBe("??UU");
  expect(verdicts("+---dd+d++")).toBe("RRRUUUUUUR");
});

test("asking is told in other words than failing", () => {
  const ready = observe(unprobed(0), pass, plan, 1).standing;
  expect(observe(ready, drain, plan, 2).change).toEqual({
    from: "ready",
    to: "draining",
    reason: "a probe asked to be drained: status 404",
  });
});

test("a change is near before the first verdict, after a failure of a ready one, after a pass of an unready one", () => {
  const near = (history: string) => {
    let standing = unprobed(0);
    for (const probe of history) standing = observe(standing, probes[probe] ?? fail, plan, 1).standing;
    return isChanging(standing);
  };
  for (const history of ["", "-", "+-", "+--", "---+", "+d-"])
    expect([history, near(history)]).toEqual([history, true]);
  for (const history of ["+", "++", "+---", "+-+", "---++", "+d", "+dd"])
    expect([history, near(history)]).toEqual([history, false]);
});

test("tells each change once, with what was seen and since when", () => {
  let standing = unprobed(0);
  const changes: unknown[] = [];
  for (let now = 1; now <= 6; now++) {
    const observed = observe(standing, now === 1 ? pass : fail, plan, now);
    standing = observed.standing;
    if (observed.change) changes.push({ at: now, since: standing.since, ...observed.change });
  }
  expect(changes).toEqual([
    { at: 1, since: 1, from: "unknown", to: "ready", reason: "a probe passed: status 200" },
    {
      at: 4,
      since: 4,
      from: "ready",
      to: "unready",
      reason: "3 probes in a row failed, the last one: connection refused",
    },
  ]);
  expect(standing).toMatchObject({ since: 4, fails: 5, passes: 0, last: fail });
});

test("agrees with its definition on every history", () => {
  const history = fc.array(fc.boolean(), { maxLength: 40 });
  const thresholds = fc.record({ rise: fc.integer({ min: 1, max: 4 }), fall: fc.integer({ min: 1, max: 4 }) });
  fc.assert(
    fc.property(history, thresholds, (all, { rise, fall }) => {
      let standing = unprobed(0);
      let expected = "unknown";
      for (const [index, ok] of all.entries()) {
        standing = observe(standing, ok ? pass : fail, { rise, fall }, index).standing;
        const tail = (n: number) => (index + 1 >= n ? all.slice(index + 1 - n, index + 1) : []);
        const risen = tail(rise);
        const fallen = tail(fall);
        if (ok && (expected === "unknown" || (risen.length === rise && risen.every(Boolean)))) expected = "ready";
        if (!ok && fallen.length === fall && !fallen.some(Boolean)) expected = "unready";
        if (standing.verdict !== expected) return false;
      }
      return true;
    }),
  );
});

import { expect, test } from "bun:test";
import fc from "fast-check";
import { observe, type Standing, unprobed } from "./threshold.ts";

const plan = { rise: 2, fall: 3 };
const pass = { ok: true, status: 200, detail: "status 200", took: 1 };
const fail = { ok: false, detail: "connection refused", took: 1 };

/** Verdicts after each probe of "+" and "-". */
function verdicts(probes: string, start: Standing = unprobed(0)): string {
  let standing = start;
  let text = "";
  for (const [index, probe] of [...probes].entries()) {
    standing = observe(standing, probe === "+" ? pass : fail, plan, index + 1).standing;
    text += { unknown: "?", ready: "R", unready: "U" }[standing.verdict];
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
    fc.property(history, thresholds, (probes, { rise, fall }) => {
      let standing = unprobed(0);
      let expected = "unknown";
      for (const [index, ok] of probes.entries()) {
        standing = observe(standing, ok ? pass : fail, { rise, fall }, index).standing;
        const tail = (n: number) => (index + 1 >= n ? probes.slice(index + 1 - n, index + 1) : []);
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

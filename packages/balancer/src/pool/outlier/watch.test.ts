// Scenarios second by second: who is ejected, for how long, and who is not.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Random } from "../../base/random.ts";
import { seeded } from "../fixtures.ts";
import type { OutlierPlan } from "../plan.ts";
import { mostEjected, OutlierWatch, type Decision } from "./watch.ts";
import { Count, type Counts } from "./window.ts";

const plan: OutlierPlan = { maxEjected: 0.5, base: 30_000, longest: 300_000, consecutive: 5, latency: 4 };

/** What happens to one endpoint in one second. */
type Second = Partial<Record<"good" | "errors" | "resets" | "timeouts" | "connects" | "refusals" | "ms", number>>;

/** A pool of `size` in which every second is described by `traffic`, as an endpoint's number and the second tell. */
class Stage {
  readonly watch = new OutlierWatch();
  readonly totals: Counts[];
  readonly members: { slot: number; id: string; willing: boolean; backup: boolean; since: number; totals: Counts }[];
  readonly log: string[] = [];
  readonly reasons: string[] = [];
  readonly out = new Set<number>();
  second = 1_000;
  plan = plan;
  probed = false;
  keyed = false;

  constructor(size: number) {
    this.totals = Array.from({ length: size }, () => new Float64Array(Count.size));
    this.members = this.totals.map((totals, slot) => {
      return { slot, id: `e${slot}`, willing: true, backup: false, since: 0, totals };
    });
  }

  /** One look before anything happened, then `seconds` of traffic. The ejected get none. */
  run(seconds: number, traffic: (slot: number, second: number) => Second): void {
    if (this.log.length === 0 && this.second === 1_000) this.#review();
    for (let i = 0; i < seconds; i++) {
      for (const { slot } of this.members) if (!this.out.has(slot)) this.#count(slot, traffic(slot, i));
      this.second++;
      this.#review();
    }
  }

  #count(slot: number, second: Second): void {
    const totals = this.totals[slot]!;
    for (const kind of ["good", "errors", "resets", "timeouts", "connects", "refusals"] as const) {
      totals[Count[kind]]! += second[kind] ?? 0;
    }
    const timed = second.good ?? 0;
    const log = Math.log(second.ms ?? 20);
    totals[Count.timed]! += timed;
    totals[Count.logs]! += timed * log;
    totals[Count.logSquares]! += timed * log * log;
  }

  #review(): void {
    const now = this.second * 1_000;
    for (const decision of this.watch.review(now, this.plan, this.members, this.probed, this.keyed))
      this.#note(decision);
  }

  #note(decision: Decision): void {
    const { slot, id } = decision.member;
    if (decision.kind === "eject") this.out.add(slot);
    else this.out.delete(slot);
    const time = decision.kind === "eject" ? ` ${decision.until / 1_000 - this.second} s` : "";
    this.log.push(`${decision.kind} ${id}${time}`);
    this.reasons.push(decision.reason);
  }
}

const fine = { good: 20 };
const sickOnly = (sick: number, how: Second) => (slot: number) => (slot === sick ? how : fine);

describe("one endpoint of four", () => {
  const cases: [string, Second, string][] = [
    ["answers with 5xx", { errors: 20 }, "20 tries in a row failed (20 answers with 5xx), 0 of its peers' 60"],
    ["breaks off", { resets: 20 }, "20 tries in a row failed (20 broken off), 0 of its peers' 60"],
    ["does not answer", { timeouts: 7 }, "7 tries in a row failed (7 timeouts), 0 of its peers' 60"],
    ["cannot be reached", { connects: 6 }, "6 tries in a row failed (6 failed connects), 0 of its peers' 60"],
  ];
  test.each(cases)("that %s is ejected after a second, for half a minute", (_, how, reason) => {
    const stage = new Stage(4);
    stage.run(1, sickOnly(2, how));
    expect(stage.log).toEqual(["eject e2 30 s"]);
    expect(stage.reasons).toEqual([reason]);
    expect(stage.watch.ejection(2)).toMatchObject({ times: 1, reason });
    stage.run(29, () => fine);
    expect(stage.log).toHaveLength(1);
    stage.run(1, () => fine);
    expect(stage.log).toEqual(["eject e2 30 s", "admit e2"]);
    expect(stage.watch.ejection(2)).toBeNull();
  });

  test("that fails now and then, as others do not, is ejected for its share", () => {
    const stage = new Stage(4);
    stage.run(10, sickOnly(1, { good: 7, errors: 3 }));
    expect(stage.log).toEqual(["eject e1 30 s"]);
    expect(stage.reasons[0]).toMatch(
      /^\d+ of its last \d+ tries failed \(\d+ answers with 5xx\), 0 of its peers' \d+$/,
    );
  });

  test("that is slow is ejected, after ten seconds of it", () => {
    const stage = new Stage(4);
    stage.run(9, sickOnly(3, { good: 5, ms: 1_200 }));
    expect(stage.log).toEqual([]);
    stage.run(2, sickOnly(3, { good: 5, ms: 1_200 }));
    expect(stage.log).toEqual(["eject e3 30 s"]);
    expect(stage.reasons).toEqual(["its answers typically begin after 1.2 s, its peers' after 20 ms"]);
  });

  test("that is slower by less than it takes, or by little time, stays", () => {
    const stage = new Stage(4);
    stage.run(60, sickOnly(3, { good: 5, ms: 70 }));
    stage.run(60, (slot) => ({ good: 5, ms: slot === 3 ? 700 : 200 }));
    expect(stage.log).toEqual([]);
  });

  test("that pauses for two seconds, and answers late then, stays", () => {
    const stage = new Stage(4);
    stage.run(30, () => fine);
    stage.run(2, sickOnly(0, { good: 20, ms: 2_000 }));
    stage.run(30, () => fine);
    expect(stage.log).toEqual([]);
  });

  test("that refuses is left to the workers for ten seconds, and to its probe for ever", () => {
    const stage = new Stage(4);
    stage.run(9, sickOnly(0, { refusals: 1 }));
    expect(stage.log).toEqual([]);
    stage.run(3, sickOnly(0, { refusals: 1 }));
    expect(stage.log).toEqual(["eject e0 30 s"]);
    expect(stage.reasons[0]).toMatch(/^it refused every connection for 1[01]s$/);
    const probed = new Stage(4);
    probed.probed = true;
    probed.run(60, sickOnly(0, { refusals: 3 }));
    expect(probed.log).toEqual([]);
  });

  test("that was restarted for two seconds is not ejected for refusing", () => {
    const stage = new Stage(4);
    stage.run(2, sickOnly(0, { refusals: 40 }));
    stage.run(60, () => fine);
    expect(stage.log).toEqual([]);
  });

  test("with little traffic is ejected once the run says enough", () => {
    const stage = new Stage(4);
    stage.run(60, (slot, second) => (second % 4 !== 0 ? {} : slot === 0 ? { errors: 1 } : { good: 1 }));
    expect(stage.log[0]).toBe("eject e0 30 s");
    expect(stage.second).toBeGreaterThan(1_016);
  });
});

test("what is over is not judged later, however long its peers go on well or a place is waited for", () => {
  const few = new Stage(2);
  few.run(1, (slot) => (slot === 0 ? { connects: 5 } : { good: 2 }));
  few.run(200, (slot) => (slot === 0 ? {} : { good: 1 }));
  expect(few.log).toEqual([]);
  const late = new Stage(4);
  late.run(1, (slot) => (slot < 2 ? { errors: 20 } : fine));
  late.run(10, (slot) => (slot === 2 ? { good: 6, errors: 4 } : fine));
  late.run(17, () => fine);
  expect(late.out).toEqual(new Set([0, 1]));
  // A place becomes free while the third still has its failures in the window.
  late.members[0]!.willing = false;
  late.run(4, () => fine);
  expect(late.out.has(2)).toBe(false);
});

describe("the time out", () => {
  test("grows with each ejection up to the longest, and shrinks with good conduct", () => {
    const stage = new Stage(4);
    const sick = sickOnly(0, { errors: 10 });
    for (let i = 0; i < 12; i++) {
      const before = stage.log.length;
      while (stage.log.length === before || stage.out.size > 0) stage.run(1, sick);
    }
    const times = stage.log.flatMap((line) => /eject e0 (\d+) s/.exec(line)?.[1] ?? []).map(Number);
    expect(times).toEqual([30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
    stage.run(20 * 62, () => fine);
    stage.run(1, sick);
    expect(stage.log.at(-1)).toBe("eject e0 30 s");
  });

  test("is not shortened by silence", () => {
    const stage = new Stage(4);
    stage.run(1, sickOnly(0, { errors: 10 }));
    stage.run(600, sickOnly(0, {}));
    stage.run(1, sickOnly(0, { errors: 10 }));
    expect(stage.log.at(-1)).toBe("eject e0 60 s");
  });

  test("is over when a probe reaches what could not be reached; other grounds last", () => {
    for (const [how, left] of [
      [{ connects: 10 }, 0],
      [{ errors: 10 }, 1],
    ] as const) {
      const stage = new Stage(4);
      stage.probed = true;
      stage.run(1, sickOnly(0, how));
      expect(stage.out.size).toBe(1);
      stage.members[0]!.willing = false;
      stage.run(1, () => fine);
      stage.members[0]!.willing = true;
      stage.members[0]!.since = stage.second * 1_000 + 500;
      stage.run(1, () => fine);
      expect(stage.out.size).toBe(left);
    }
  });
});

describe("small pools", () => {
  test("how many may be out", () => {
    expect([0, 1, 2, 3, 4, 5, 6, 10].map((size) => mostEjected(size, 0.5))).toEqual([0, 0, 1, 1, 2, 2, 3, 5]);
    // A share that rounds to nobody would switch it off without a word.
    expect([2, 5, 9, 10, 30].map((size) => mostEjected(size, 0.1))).toEqual([1, 1, 1, 1, 3]);
    expect([1, 2, 3, 4].map((size) => mostEjected(size, 1))).toEqual([0, 1, 2, 3]);
    expect(mostEjected(8, 0)).toBe(0);
  });

  test("one alone is never ejected, of two and of three one is", () => {
    const alone = new Stage(1);
    alone.run(60, () => ({ errors: 30 }));
    expect(alone.log).toEqual([]);
    for (const size of [2, 3]) {
      const stage = new Stage(size);
      stage.run(1, sickOnly(0, { errors: 10 }));
      expect(stage.log).toEqual(["eject e0 30 s"]);
      const two = new Stage(size);
      two.run(20, (slot) => (slot < 2 ? { errors: 20 } : fine));
      expect(two.out.size).toBe(size - 2);
    }
  });

  test("when others leave, the ejected come back rather than leave the pool to a few", () => {
    const stage = new Stage(4);
    stage.run(12, (slot) => (slot < 2 ? { errors: 20 } : fine));
    expect([...stage.out].sort()).toEqual([0, 1]);
    stage.members[2]!.willing = false;
    stage.run(1, () => fine);
    expect(stage.out.size).toBe(1);
    stage.members[3]!.willing = false;
    stage.run(1, () => fine);
    expect(stage.out.size).toBe(1);
    expect(stage.reasons.at(-1)).toBe("too few of its peers are left");
    const inside = stage.out.has(0) ? 1 : 0;
    stage.members[inside]!.willing = false;
    stage.run(1, () => fine);
    expect(stage.out.size).toBe(0);
  });

  test("a backup is no peer of those it backs up, and does not make room for more of them", () => {
    const stage = new Stage(4);
    stage.members[2]!.backup = true;
    stage.members[3]!.backup = true;
    stage.run(30, (slot) => (slot < 2 ? { errors: 20 } : slot === 2 ? fine : {}));
    expect(stage.log).toEqual([]);
  });
});

describe("a request's own badness", () => {
  const binomial = (random: Random, count: number, share: number) => {
    let hits = 0;
    for (let i = 0; i < count; i++) if (random() < share) hits++;
    return hits;
  };

  test.each([0.02, 0.1, 0.3, 0.6, 0.9, 1])("one URL of a share of %p that fails everywhere ejects nobody", (share) => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = seeded(seed * 7919);
      const size = 2 + Math.floor(random() * 7);
      const rate = [1, 4, 30][seed % 3]!;
      const stage = new Stage(size);
      stage.run(900, () => {
        const count = binomial(random, 2 * rate, 0.5);
        const errors = binomial(random, count, share);
        return { good: count - errors, errors };
      });
      expect(stage.log).toEqual([]);
    }
  });

  test("a database that is down for all ejects nobody, and neither does a slow one", () => {
    const stage = new Stage(5);
    stage.run(10, () => fine);
    stage.run(60, () => ({ errors: 20 }));
    stage.run(60, () => fine);
    stage.run(60, () => ({ good: 3, ms: 4_000 }));
    expect(stage.log).toEqual([]);
  });

  test("when it follows the key to the next endpoint, the first one comes back and the search ends", () => {
    const stage = new Stage(6);
    stage.keyed = true;
    const at = () => [0, 1, 2, 3, 4, 5].find((slot) => !stage.out.has(slot));
    stage.run(120, (slot) => (slot === at() ? { good: 15, errors: 10 } : { good: 25 }));
    expect(stage.log).toEqual(["eject e0 30 s", "admit e0"]);
    expect(stage.reasons[1]).toBe("the same requests fare no better at e1");
    // A broken endpoint is still ejected meanwhile.
    stage.run(2, (slot) => (slot === 4 ? { resets: 30 } : fine));
    expect(stage.log.at(-1)).toBe("eject e4 30 s");
  });

  test.each([2, 3, 4])("in a pool of %p, too, in which nobody else may be ejected meanwhile", (size) => {
    for (const trouble of [
      { good: 15, errors: 10 },
      { good: 10, ms: 3_000 },
    ]) {
      const stage = new Stage(size);
      stage.keyed = true;
      const at = () => stage.members.find(({ slot }) => !stage.out.has(slot))?.slot;
      // Of two the first comes back when its time is over, and has its keys again.
      stage.run(250, (slot) => (slot === at() ? trouble : { good: 25 }));
      expect(stage.log.filter((line) => line.startsWith("eject"))).toEqual(["eject e0 30 s"]);
      expect(stage.reasons[1]).toContain(
        size === 2 ? "the same requests fared no better at e1" : "fare no better at e1",
      );
      expect(stage.log).toHaveLength(2);
      // A broken endpoint is still ejected meanwhile.
      stage.run(2, (slot) => (slot === 1 ? { resets: 30 } : fine));
      expect(stage.log.at(-1)).toBe("eject e1 30 s");
    }
  });

  test("what was much of one endpoint's work and is little of the next one's is found when the first comes back", () => {
    const stage = new Stage(4);
    stage.keyed = true;
    stage.run(40, () => fine);
    // A tenth of what e1 has to do then: by itself no ground to eject anybody.
    stage.run(250, (slot) => {
      if (stage.out.size === 0) return slot === 0 ? { good: 15, errors: 5 } : fine;
      return slot === 1 ? { good: 66, errors: 5 } : fine;
    });
    expect(stage.log).toEqual(["eject e0 30 s", "admit e0"]);
    expect(stage.reasons[1]).toBe("its time out is over, and the same requests fared no better at e1");
  });

  test("trouble that begins at another only after the first is back is that one's own", () => {
    const stage = new Stage(2);
    stage.keyed = true;
    stage.run(40, (slot, second) => (slot === 0 && second < 10 ? { good: 15, errors: 10 } : { good: 25 }));
    expect(stage.log).toEqual(["eject e0 30 s", "admit e0"]);
    stage.run(20, (slot) => (slot === 1 ? { good: 15, errors: 10 } : { good: 25 }));
    expect(stage.log.at(-1)).toBe("eject e1 30 s");
  });

  test("a slow tenant that follows its key is not chased through the pool either", () => {
    const stage = new Stage(6);
    stage.keyed = true;
    const at = () => [0, 1, 2, 3, 4, 5].find((slot) => !stage.out.has(slot));
    stage.run(120, (slot) => (slot === at() ? { good: 10, ms: 3_000 } : { good: 25 }));
    expect(stage.log).toEqual(["eject e0 30 s", "admit e0"]);
  });
});

test("what leaves is forgotten, and another endpoint in its slot begins anew", () => {
  const stage = new Stage(4);
  stage.run(1, sickOnly(0, { errors: 10 }));
  expect(stage.watch.ejection(0)).not.toBeNull();
  stage.members[0] = { ...stage.members[0]!, id: "another" };
  stage.out.clear();
  stage.run(1, () => fine);
  expect(stage.watch.ejection(0)).toBeNull();
  stage.members.shift();
  stage.run(1, () => fine);
  expect(stage.log).toHaveLength(1);
});

test("counters that begin again are no failures", () => {
  const stage = new Stage(3);
  stage.run(5, () => ({ good: 20, errors: 1 }));
  stage.totals[0]!.fill(0);
  stage.run(20, () => fine);
  expect(stage.log).toEqual([]);
});

test("whatever happens: half at most, never the last, and times within their bounds", () => {
  const second = fc.record({
    good: fc.nat(30),
    errors: fc.nat(9),
    resets: fc.nat(3),
    connects: fc.nat(3),
    ms: fc.integer({ min: 1, max: 5_000 }),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(second, { minLength: 3, maxLength: 9 }),
      fc.nat(),
      (size, kinds, seed) => {
        const stage = new Stage(size);
        stage.keyed = seed % 2 === 0;
        const random = seeded(seed);
        const manner = stage.members.map(() => kinds[Math.floor(random() * kinds.length)]!);
        for (let i = 0; i < 150; i++) {
          for (const member of stage.members) {
            if (random() < 0.02) member.willing = !member.willing;
            if (random() < 0.02) manner[member.slot] = kinds[Math.floor(random() * kinds.length)]!;
          }
          stage.run(1, (slot) => manner[slot]!);
          const willing = stage.members.filter((member) => member.willing);
          const out = willing.filter(({ slot }) => stage.watch.ejection(slot) !== null);
          expect(out.length).toBeLessThanOrEqual(mostEjected(willing.length, 0.5));
          for (const { slot } of stage.members) {
            const ejection = stage.watch.ejection(slot);
            if (ejection === null) continue;
            expect(ejection.until - ejection.from).toBeLessThanOrEqual(300_000);
            expect(ejection.until).toBeGreaterThan(stage.second * 1_000);
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});

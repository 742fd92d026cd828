// The comparison alone: evidence, distance, and what peers did at the same time.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seeded } from "../fixtures.ts";
import { enoughEvidence, evidence, isFar, latencyOf, Peers, slowness, type Tried } from "./peers.ts";
import { Count, type Counts, Window } from "./window.ts";

function counts(good: number, errors: number, over: Partial<Record<keyof typeof Count, number>> = {}): Counts {
  const made = new Float64Array(Count.size);
  made[Count.good] = good;
  made[Count.errors] = errors;
  for (const [kind, count] of Object.entries(over)) made[Count[kind as keyof typeof Count]] = count;
  return made;
}

/** Answers that began after `ms`, give or take a factor `spread`. */
function timed(count: number, ms: number, spread = 1.2): Counts {
  const mean = Math.log(ms);
  const deviation = Math.log(spread);
  return counts(count, 0, {
    timed: count,
    logs: count * mean,
    logSquares: count * (mean * mean + deviation * deviation),
  });
}

/** A window of one bucket. */
function window(...all: Counts[]): Window {
  const made = new Window();
  for (const [at, each] of all.entries()) made.add(at * 5_000, each);
  return made;
}

function tried(tries: number, bad: number): Tried {
  return { tries, bad };
}

describe("evidence", () => {
  test("a run of five is enough beside sixty that went well, and not beside ten, or where a third fails", () => {
    expect(evidence(tried(5, 5), tried(60, 0))).toBeGreaterThan(enoughEvidence);
    expect(evidence(tried(5, 5), tried(10, 0))).toBeLessThan(enoughEvidence);
    expect(evidence(tried(5, 5), tried(600, 200))).toBeLessThan(enoughEvidence);
    expect(evidence(tried(16, 16), tried(600, 200))).toBeGreaterThan(enoughEvidence);
  });

  test("there is none against those who do no worse", () => {
    const count = fc.integer({ min: 0, max: 1_000 });
    fc.assert(
      fc.property(count, count, count, count, (good, bad, goodOthers, badOthers) => {
        const own = tried(good + bad, bad);
        const others = tried(goodOthers + badOthers, badOthers);
        const nats = evidence(own, others);
        if (nats < 0 || !Number.isFinite(nats)) return false;
        return others.tries === 0 || own.bad * others.tries > others.bad * own.tries || nats === 0;
      }),
    );
  });

  test("with nobody asked, twenty in a row are not enough, and twenty-one are", () => {
    expect(evidence(tried(20, 20), tried(0, 0))).toBeLessThan(enoughEvidence);
    expect(evidence(tried(21, 21), tried(0, 0))).toBeGreaterThan(enoughEvidence);
    expect(evidence(tried(100, 40), tried(0, 0))).toBe(0);
  });

  test("chance exceeds it about as rarely as it says, for shares and sizes of all kinds", () => {
    const random = seeded(20);
    let exceeded = 0;
    const times = 60_000;
    for (let i = 0; i < times; i++) {
      const share = random() * 0.8 + 0.02;
      const draw = (count: number) => {
        let bad = 0;
        for (let k = 0; k < count; k++) if (random() < share) bad++;
        return tried(count, bad);
      };
      // Five nats: half a chi-square of 10, one in 1,280 on the upper side. Small counts come a little more often.
      if (evidence(draw(5 + Math.floor(random() * 60)), draw(5 + Math.floor(random() * 120))) > 5) exceeded++;
    }
    expect(exceeded).toBeLessThan((times / 1_280) * 1.6);
  });

  test("what is certain need not matter: 3 % beside 1 % is not far", () => {
    expect(evidence(tried(100_000, 3_000), tried(100_000, 1_000))).toBeGreaterThan(enoughEvidence);
    expect(isFar(tried(100, 3), tried(100, 1))).toBe(false);
    expect(isFar(tried(100, 20), tried(100, 1))).toBe(true);
    expect(isFar(tried(100, 25), tried(100, 10))).toBe(false);
    expect(isFar(tried(100, 100), tried(100, 50))).toBe(true);
    expect(isFar(tried(100, 100), tried(100, 95))).toBe(false);
    expect(isFar(tried(100, 100), tried(0, 0))).toBe(true);
  });
});

describe("others alike", () => {
  test("are all but the one that is compared", () => {
    const one = window(counts(10, 30));
    const peers = new Peers([one, window(counts(40, 0)), window(counts(36, 4))]);
    expect(peers.others(one)).toEqual({ tries: 80, bad: 4 });
    expect(peers.othersAlike(one)).toEqual({ tries: 80, bad: 4 });
  });

  test("one that came back into an outage of all is no worse than they were in it", () => {
    // Three quiet buckets, then everything fails. The one that came back has seen nothing else.
    const long = () => window(counts(100, 0), counts(100, 0), counts(100, 0), counts(0, 100));
    const back = window(counts(0, 0), counts(0, 0), counts(0, 0), counts(0, 30));
    const peers = new Peers([back, long(), long()]);
    expect(peers.others(back).bad / peers.others(back).tries).toBe(0.25);
    const alike = peers.othersAlike(back);
    expect(alike.bad / alike.tries).toBe(1);
    expect(isFar(tried(30, 30), alike)).toBe(false);
  });

  test("few that were asked once are no more for being compared in every bucket", () => {
    const one = window(...Array.from({ length: 6 }, () => counts(15, 5)));
    const few = window(counts(12, 0));
    expect(new Peers([one, few]).othersAlike(one).tries).toBeLessThanOrEqual(12);
    expect(evidence(tried(120, 30), new Peers([one, few]).othersAlike(one))).toBeLessThan(enoughEvidence);
  });

  test("with nobody asked there are none", () => {
    const one = window(counts(3, 30));
    expect(new Peers([one, window(counts(0, 0))]).othersAlike(one)).toEqual({ tries: 0, bad: 0 });
  });

  test("never have less than no failures, or more than tries", () => {
    const bucket = fc.tuple(fc.nat(9), fc.nat(9)).map(([good, errors]) => counts(good, errors));
    const life = fc.array(bucket, { minLength: 1, maxLength: 9 }).map((all) => window(...all));
    fc.assert(
      fc.property(fc.array(life, { minLength: 2, maxLength: 6 }), (windows) => {
        const peers = new Peers(windows);
        return windows.every((one) => {
          const { tries, bad } = peers.othersAlike(one);
          return bad >= 0 && bad <= tries * (1 + 1e-9) && tries <= peers.others(one).tries;
        });
      }),
    );
  });
});

describe("latency", () => {
  test("is told apart by factors", () => {
    const slow = window(timed(50, 900));
    const peers = new Peers([slow, window(timed(50, 20)), window(timed(50, 45))]);
    expect(Math.exp(peers.latencyAlike(slow)!.mean)).toBeCloseTo(30);
    expect(slowness(latencyOf(slow.sums), peers.latencyAlike(slow)!)).toBeGreaterThan(20);
  });

  test("twice as slow is not slow, and few answers prove little", () => {
    expect(slowness(latencyOf(timed(1_000, 80)), latencyOf(timed(1_000, 40)))).toBeCloseTo(0);
    expect(slowness(latencyOf(timed(3, 400, 10)), latencyOf(timed(1_000, 40, 10)))).toBeLessThan(2);
  });

  test("one that came back while all are slow is not slower than they are", () => {
    const long = () => window(timed(100, 20), timed(100, 20), timed(100, 2_000));
    const back = window(counts(0, 0), counts(0, 0), timed(40, 2_000));
    expect(Math.exp(new Peers([back, long(), long()]).latencyAlike(back)!.mean)).toBeCloseTo(2_000);
  });

  test("with no timed answers of others there is nothing to compare", () => {
    const slow = window(timed(50, 900));
    expect(new Peers([slow, window(counts(9, 0))]).latencyAlike(slow)).toBeNull();
    expect(new Peers([slow]).latencyAlike(slow)).toBeNull();
  });
});

describe("a window", () => {
  test("forgets what is older than half a minute, bucket by bucket", () => {
    const window = new Window();
    for (let second = 0; second < 100; second++) window.add(second * 1_000, counts(1, 0));
    expect(window.sums[Count.good]).toBe(30);
    window.add(110_000, counts(0, 2));
    expect([window.sums[Count.good], window.sums[Count.errors]]).toEqual([15, 2]);
    window.add(300_000, counts(0, 0));
    expect([...window.sums]).toEqual([...counts(0, 0)]);
  });

  test("holds no more than went in, and no fractions of what is gone, whatever the clock does", () => {
    const step = fc.tuple(fc.integer({ min: -20_000, max: 40_000 }), fc.integer({ min: 0, max: 9 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const window = new Window();
        let now = 1e6;
        let all = 0;
        for (const [by, count] of steps) {
          now += by;
          all += count;
          window.add(now, counts(count, 0));
          const sum = window.sums[Count.good]!;
          if (sum < count || sum > all || !Number.isInteger(sum)) return false;
        }
        window.add(now + 60_000, counts(0, 0));
        return window.sums[Count.good] === 0;
      }),
    );
  });
});

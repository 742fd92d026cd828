// The comparison alone: evidence, distance, and what is usual among peers.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { enoughEvidence, evidence, isFar, latencyOf, Peers, slowness } from "./peers.ts";
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

/** The chance of `bad` or more of `count` at a share of `usual`. */
function tail(bad: number, count: number, usual: number): number {
  let total = 0;
  for (let k = bad; k <= count; k++) {
    let log = k * Math.log(usual) + (count - k) * Math.log(1 - usual);
    for (let i = 0; i < k; i++) log += Math.log(count - i) - Math.log(i + 1);
    total += Math.exp(log);
  }
  return total;
}

describe("evidence", () => {
  test("never overstates: chance alone reaches it no more often than it says", () => {
    const usual = fc.double({ min: 0.001, max: 0.9, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.double({ min: 0, max: 1, noNaN: true }), usual, (n, part, p) => {
        const bad = Math.round(n * part);
        return tail(bad, n, p) <= Math.exp(-evidence(bad, n, p)) * (1 + 1e-9);
      }),
    );
  });

  test("a run of five is enough where nearly nothing fails, and not where a fifth does", () => {
    expect(evidence(5, 5, 1 / 60)).toBeGreaterThan(enoughEvidence);
    expect(evidence(5, 5, 0.2)).toBeLessThan(enoughEvidence);
    expect(evidence(100, 100, 1)).toBe(0);
    expect(evidence(1, 100, 0.02)).toBe(0);
    expect(evidence(0, 0, 0.02)).toBe(0);
  });

  test("what is certain need not matter: 3 % beside 1 % is not far", () => {
    expect(evidence(3_000, 100_000, 0.01)).toBeGreaterThan(enoughEvidence);
    expect(isFar(0.03, 0.01)).toBe(false);
    expect(isFar(0.2, 0.01)).toBe(true);
    expect(isFar(0.25, 0.1)).toBe(false);
    expect(isFar(1, 0.5)).toBe(true);
    expect(isFar(1, 0.95)).toBe(false);
  });
});

describe("what is usual", () => {
  test("is no less than one failure more than was seen", () => {
    const sick = counts(0, 5);
    expect(new Peers([sick, counts(30, 0), counts(28, 0)]).usualShare(sick)).toBe(1 / 60);
  });

  test("with nobody asked it is a half", () => {
    const sick = counts(0, 30);
    expect(new Peers([sick, counts(0, 0)]).usualShare(sick)).toBe(0.5);
  });

  test("is the middle one's: in a pool of three a sick peer excuses nobody, and in one of five two do not", () => {
    const sick = counts(0, 40);
    expect(new Peers([sick, counts(0, 40), counts(40, 0)]).usualShare(sick)).toBe(0.25);
    const five = [sick, counts(0, 50), counts(40, 0), counts(40, 0), counts(40, 0)];
    expect(new Peers(five).usualShare(sick)).toBeCloseTo(50 / 170 / 2);
  });

  test("one URL that fails everywhere is usual", () => {
    const one = counts(70, 30);
    expect(new Peers([one, counts(66, 34), counts(72, 28), counts(70, 30)]).usualShare(one)).toBeCloseTo(0.3);
  });

  test("leaves out the one that is compared, and nobody else", () => {
    const share = fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 50 }));
    fc.assert(
      fc.property(fc.array(share, { minLength: 2, maxLength: 9 }), fc.nat(), (list, pick) => {
        const windows = list.map(([good, errors]) => counts(good, errors));
        const at = pick % windows.length;
        const rest = windows.filter((_, index) => index !== at);
        const asked = rest.filter((each) => each[Count.good]! + each[Count.errors]! > 0);
        const usual = new Peers(windows).usualShare(windows[at]!);
        if (asked.length === 0) return usual === 0.5;
        const shares = asked.map((each) => each[Count.errors]! / (each[Count.good]! + each[Count.errors]!));
        const middle = shares.sort((a, b) => a - b)[(shares.length - 1) >> 1]!;
        const bad = asked.reduce((sum, each) => sum + each[Count.errors]!, 0);
        const tries = asked.reduce((sum, each) => sum + each[Count.good]! + each[Count.errors]!, 0);
        return Math.abs(usual - Math.min(1, Math.max(middle, bad / tries / 2, 1 / (tries + 2)))) < 1e-12;
      }),
    );
  });
});

describe("latency", () => {
  test("is told apart by factors, and of two peers the slower one is usual", () => {
    const slow = timed(50, 900);
    const peers = new Peers([slow, timed(50, 20), timed(50, 40)]);
    expect(Math.exp(peers.usualLatency(slow)!.mean)).toBeCloseTo(40);
    expect(slowness(latencyOf(slow), peers.usualLatency(slow)!)).toBeGreaterThan(20);
  });

  test("twice as slow is not slow, and few answers prove little", () => {
    expect(slowness(latencyOf(timed(1_000, 80)), latencyOf(timed(1_000, 40)))).toBeCloseTo(0);
    expect(slowness(latencyOf(timed(3, 400, 10)), latencyOf(timed(1_000, 40, 10)))).toBeLessThan(2);
  });

  test("peers of whom little is known do not count", () => {
    const slow = timed(50, 900);
    expect(new Peers([slow, timed(9, 20)]).usualLatency(slow)).toBeNull();
    expect(new Peers([slow]).usualLatency(slow)).toBeNull();
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

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { KeepAliveAge, safeAge } from "./keep-alive-age.ts";

const planned = 4_000;

function told(seconds: number): KeepAliveAge {
  const age = new KeepAliveAge();
  age.told(seconds);
  return age;
}

describe("what an endpoint says", () => {
  test("counts less a second, or half of what is short", () => {
    for (const [seconds, limit] of [
      [5, 4_000],
      [65, 64_000],
      [2, 1_000],
      [1, 500],
      [0, 0],
    ] as const) {
      expect(told(seconds).limit(planned)).toBe(limit);
    }
  });

  test("a new setting replaces the old one and what was seen of it", () => {
    const age = told(60);
    age.closed(5_000, 1_000);
    expect(age.limit(planned)).toBe(4_000);
    age.told(60);
    expect(age.limit(planned)).toBe(4_000);
    age.told(30);
    expect(age.limit(planned)).toBe(29_000);
  });

  test("is not believed beyond what it does, and again when it does better", () => {
    const age = told(60);
    age.closed(10_000, 1_000);
    expect(age.limit(planned)).toBe(9_000);
    age.survived(30_000, planned);
    expect(age.limit(planned)).toBe(29_000);
    age.survived(60_500, planned);
    expect(age.limit(planned)).toBe(59_000);
  });
});

describe("what it does", () => {
  test("nothing is known at first: the plan's", () => {
    const age = new KeepAliveAge();
    expect([age.limit(planned), age.learned, age.curious]).toEqual([planned, -1, true]);
  });

  test("closing after two seconds is learned from the first time", () => {
    const age = new KeepAliveAge();
    age.closed(2_000, 10_000);
    expect(age.limit(planned)).toBe(1_000);
  });

  test("closing after a minute lets connections be used for nearly a minute", () => {
    const age = new KeepAliveAge();
    age.closed(65_000, 100_000);
    expect(age.limit(planned)).toBe(64_000);
  });

  test("many that are closed together for the same reason are one lesson", () => {
    const age = new KeepAliveAge();
    // gunicorn looks once a second, so that ages lie between two and three seconds.
    for (const [index, closed] of [2_000, 2_300, 2_900, 2_600].entries()) age.closed(closed, 10_000 + index);
    expect(age.limit(planned)).toBe(1_000);
  });

  test("a higher age has to be seen twice", () => {
    const age = new KeepAliveAge();
    age.closed(2_000, 10_000);
    age.closed(5_000, 20_000);
    expect(age.limit(planned)).toBe(1_000);
    age.closed(5_100, 30_000);
    expect(age.limit(planned)).toBe(4_000);
    age.closed(2_000, 40_000);
    expect(age.limit(planned)).toBe(1_000);
  });

  test("short ages count when three of them agree, each at its time", () => {
    const age = new KeepAliveAge();
    age.closed(300, 1_000);
    age.closed(310, 2_000);
    expect(age.limit(planned)).toBe(planned);
    age.closed(305, 3_000);
    expect(age.limit(planned)).toBe(150);
    const mixed = new KeepAliveAge();
    for (const [index, closed] of [300, 5, 900, 40, 500].entries()) mixed.closed(closed, 1_000 * (index + 1));
    expect(mixed.limit(planned)).toBe(planned);
  });
});

describe("a restart teaches nothing", () => {
  test("when it closes connections of all ages together", () => {
    const age = new KeepAliveAge();
    age.closed(60_000, 5_000);
    const before = age.limit(planned);
    for (const [index, closed] of [1_500, 3_000, 20, 700, 12_000].entries()) age.closed(closed, 90_000 + index);
    expect(age.limit(planned)).toBe(before);
  });

  test("when it refuses connections soon after", () => {
    const age = new KeepAliveAge();
    age.closed(1_200, 5_000);
    expect(age.limit(planned)).toBe(600);
    age.refused(6_000);
    expect(age.limit(planned)).toBe(planned);
    age.closed(1_200, 50_000);
    age.refused(60_000);
    expect(age.limit(planned)).toBe(600);
  });

  test("and what a single closing taught wrongly is unlearned while a watched connection lives", () => {
    const age = new KeepAliveAge();
    age.closed(1_200, 5_000);
    const limits = [];
    for (let lived = 500; lived <= 5_500; lived += 1_000) {
      age.survived(lived, planned);
      limits.push(age.limit(planned));
    }
    expect(limits).toEqual([600, 750, 1_500, 2_500, 3_500, planned]);
    expect(age.learned).toBe(-1);
  });
});

/**
 * An endpoint with one timeout, `timeout`, that looks every `grain` ms and restarts now and then, and a balancer that keeps a
 * connection idle for random times: how often it uses one that the endpoint has closed or is about to.
 */
function races(timeout: number, grain: number, seed: number, restarts: boolean): { late: number; limit: number } {
  let state = seed >>> 0 || 1;
  const chance = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const age = new KeepAliveAge();
  let now = 1_000;
  let late = 0;
  for (let round = 0; round < 200; round++) {
    const rest = chance() * timeout * 1.6;
    const closes = timeout + chance() * grain;
    const limit = age.limit(planned);
    now += rest;
    if (restarts && chance() < 0.03) {
      for (const share of [0.1, 0.4, 0.9]) age.closed(Math.min(rest, timeout) * share, now);
      age.refused(now + 500);
      continue;
    }
    if (rest < limit) {
      // Within 20 ms of the close the request crosses it on the way.
      if (rest >= closes - 20) {
        late++;
        age.closed(Math.min(rest, closes), now);
      }
    } else if (rest >= closes) age.closed(closes, now);
    else age.survived(rest, planned);
  }
  return { late, limit: age.limit(planned) };
}

describe("over many rests", () => {
  test("hardly any request meets a closing connection, and what is learned stays useful", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_100, max: 120_000 }),
        fc.constantFrom(0, 50, 400),
        fc.nat(),
        fc.boolean(),
        (timeout, grain, seed, restarts) => {
          const { late, limit } = races(timeout, Math.min(grain, timeout / 4), seed, restarts);
          // Before the first closing was seen the plan's age is all there is; after it nothing is late.
          expect(late).toBeLessThanOrEqual(timeout < planned ? 3 : 1);
          expect(limit).toBeLessThanOrEqual(Math.max(planned, safeAge(timeout * 1.25)));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("any order of events leaves a limit that is a number of ms and no later than what was told", () => {
    const event = fc.oneof(
      fc.record({
        kind: fc.constant("closed" as const),
        age: fc.integer({ min: 0, max: 200_000 }),
        wait: fc.nat(9_000),
      }),
      fc.record({ kind: fc.constant("survived" as const), age: fc.nat(200_000), wait: fc.nat(9_000) }),
      fc.record({ kind: fc.constant("refused" as const), age: fc.constant(0), wait: fc.nat(9_000) }),
      fc.record({ kind: fc.constant("told" as const), age: fc.nat(120), wait: fc.nat(9_000) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const age = new KeepAliveAge();
        let now = 0;
        let said = Number.POSITIVE_INFINITY;
        for (const { kind, age: ms, wait } of events) {
          now += wait;
          if (kind === "closed") age.closed(ms, now);
          else if (kind === "survived") age.survived(ms, planned);
          else if (kind === "refused") age.refused(now);
          else {
            age.told(ms);
            said = safeAge(ms * 1000);
          }
          const limit = age.limit(planned);
          expect(limit).toBeGreaterThanOrEqual(0);
          if (said !== Number.POSITIVE_INFINITY) expect(limit).toBeLessThanOrEqual(said);
        }
      }),
    );
  });
});

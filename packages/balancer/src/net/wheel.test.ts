import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Timer, Wheel, startWheel, wheelGranularity } from "./wheel.ts";

describe("wheel", () => {
  test("fires once, never early, at most one granule late", () => {
    const wheel = new Wheel(1000);
    const fired: number[] = [];
    const timer = new Timer(() => fired.push(wheel.now));
    wheel.arm(timer, 130);
    expect(wheel.size).toBe(1);
    for (let now = 1000; now <= 3000; now++) wheel.tick(now);
    expect(fired).toHaveLength(1);
    expect(fired[0]).toBeGreaterThanOrEqual(1130);
    expect(fired[0]).toBeLessThan(1130 + wheelGranularity);
    expect(wheel.size).toBe(0);
    expect(timer.deadline).toBe(0);
  });

  test("re-arming later leaves the timer where it lies; re-arming sooner moves it", () => {
    const wheel = new Wheel(0);
    const timer = new Timer(() => {});
    wheel.arm(timer, 1000);
    const before = timer.slot;
    wheel.arm(timer, 5000);
    expect(timer.slot).toBe(before);
    wheel.arm(timer, 100);
    expect(timer.slot).not.toBe(before);
  });

  test("an hour is many turns and still one expiry", () => {
    const wheel = new Wheel(0);
    let at = 0;
    wheel.arm(new Timer(() => (at = wheel.now)), 3_600_000);
    for (let now = 0; now <= 3_700_000; now += 25) wheel.tick(now);
    expect(at).toBe(3_600_000);
  });

  test("a process that was stopped for a day fires everything once and looks at each slot once", () => {
    const wheel = new Wheel(0);
    let fired = 0;
    for (let i = 0; i < 1000; i++) wheel.arm(new Timer(() => fired++), i * 50);
    wheel.tick(86_400_000);
    expect(fired).toBe(1000);
  });

  test("a storm of expiries is spread over ticks by the allowance", () => {
    const wheel = new Wheel(0, { allowance: 100 });
    let fired = 0;
    for (let i = 0; i < 250; i++) wheel.arm(new Timer(() => fired++), 10);
    wheel.tick(25);
    expect(fired).toBe(100);
    wheel.tick(25);
    expect(fired).toBe(200);
    wheel.tick(50);
    expect(fired).toBe(250);
    expect(wheel.size).toBe(0);
  });

  test("what the storm left over can be disarmed or pushed back meanwhile", () => {
    const wheel = new Wheel(0, { allowance: 1 });
    const fired: string[] = [];
    const [a, b, c] = ["a", "b", "c"].map((name) => new Timer(() => fired.push(name))) as [Timer, Timer, Timer];
    for (const timer of [a, b, c]) wheel.arm(timer, 10);
    wheel.tick(25);
    wheel.disarm(b);
    wheel.arm(c, 100);
    for (let now = 25; now < 125; now++) wheel.tick(now);
    expect(fired).toEqual(["a"]);
    wheel.tick(125);
    expect(fired).toEqual(["a", "c"]);
  });

  test("a timer that throws is reported and the others still fire", () => {
    const seen: unknown[] = [];
    const wheel = new Wheel(0, { onDefect: (error) => seen.push(error) });
    let fired = 0;
    wheel.arm(
      new Timer(() => {
        throw new Error("boom");
      }),
      5,
    );
    wheel.arm(new Timer(() => fired++), 5);
    wheel.tick(50);
    expect(fired).toBe(1);
    expect(String(seen[0])).toContain("boom");
  });

  test("a timer that re-arms itself for 0 fires once per tick, not for ever in one", () => {
    const wheel = new Wheel(0);
    let fired = 0;
    const timer: Timer = new Timer(() => {
      fired++;
      wheel.arm(timer, 0);
    });
    wheel.arm(timer, 0);
    wheel.tick(25);
    expect(fired).toBe(1);
    wheel.tick(50);
    expect(fired).toBe(2);
  });

  test("startWheel drives it by a real clock until stopped", async () => {
    const clock = { now: () => performance.now(), wall: () => 0 };
    const wheel = new Wheel(clock.now());
    const stop = startWheel(wheel, clock);
    await new Promise<void>((resolve) => wheel.arm(new Timer(resolve), 30));
    stop();
    expect(wheel.size).toBe(0);
  });
});

// The model: a list of [timer, deadline]. After every step the same timers are armed; at every tick the wheel has fired
// all whose granule has passed and none before its deadline.
type Step =
  | { kind: "arm"; timer: number; delay: number }
  | { kind: "disarm"; timer: number }
  | { kind: "pass"; ms: number };

const timerCount = 8;
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("arm" as const),
    timer: fc.nat(timerCount - 1),
    delay: fc.oneof(fc.nat(60), fc.nat(2000), fc.nat(40_000), fc.constantFrom(12_800, 12_775, 12_825, 25, 0)),
  }),
  fc.record({ kind: fc.constant("disarm" as const), timer: fc.nat(timerCount - 1) }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.oneof(fc.nat(30), fc.nat(3000), fc.nat(30_000)) }),
);

describe("wheel against a naive model", () => {
  test("same timers armed, same timers fired", () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.array(step, { maxLength: 60 }), (start, steps) => {
        const wheel = new Wheel(start);
        const model = new Map<number, number>();
        let fired: number[] = [];
        const timers = Array.from({ length: timerCount }, (_, i) => new Timer(() => fired.push(i)));
        for (const each of steps) {
          if (each.kind === "arm") {
            wheel.arm(timers[each.timer]!, each.delay);
            model.set(each.timer, wheel.now + each.delay);
          } else if (each.kind === "disarm") {
            wheel.disarm(timers[each.timer]!);
            model.delete(each.timer);
          } else {
            fired = [];
            wheel.tick(wheel.now + each.ms);
            for (const i of fired) {
              if (!model.has(i) || model.get(i)! > wheel.now) return false;
              model.delete(i);
            }
            // At the start of this tick's granule everything older must be gone.
            const passed = Math.floor(wheel.now / wheelGranularity) * wheelGranularity;
            for (const deadline of model.values()) {
              // Armed inside the granule that was already visited: due with the next one.
              if (deadline <= passed - wheelGranularity) return false;
            }
          }
          if (wheel.size !== model.size) return false;
          for (let i = 0; i < timerCount; i++) if (timers[i]!.deadline > 0 !== model.has(i)) return false;
        }
        return true;
      }),
      { numRuns: 2000 },
    );
  });

  test("timers that arm and disarm each other while they expire stay consistent", () => {
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.nat(1000)),
        fc.array(fc.tuple(fc.nat(timerCount - 1), fc.nat(500)), { minLength: 1, maxLength: 20 }),
        (chance, initial) => {
          const draw = () => chance.next().value as number;
          const wheel = new Wheel(0, { allowance: 3 });
          const expected = new Map<Timer, number>();
          let bad = false;
          const timers: Timer[] = Array.from({ length: timerCount }, (_, i) => {
            const timer: Timer = new Timer(() => {
              if (!expected.has(timer) || expected.get(timer)! > wheel.now) bad = true;
              expected.delete(timer);
              const other = timers[(i + draw()) % timerCount]!;
              if (draw() % 3 === 0) {
                wheel.disarm(other);
                expected.delete(other);
              } else if (draw() % 2 === 0) {
                const delay = draw() % 300;
                wheel.arm(other, delay);
                expected.set(other, wheel.now + delay);
              }
            });
            return timer;
          });
          for (const [i, delay] of initial) {
            wheel.arm(timers[i]!, delay);
            expected.set(timers[i]!, delay);
          }
          for (let now = 0; now < 4000; now += 7) wheel.tick(now);
          return !bad && wheel.size === expected.size;
        },
      ),
      { numRuns: 300 },
    );
  });
});

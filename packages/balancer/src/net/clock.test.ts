import { expect, test } from "bun:test";
import { after, every, systemClock, systemRandom } from "./clock.ts";

test("the clock goes on, and its wall time is of this century", () => {
  const before = systemClock.now();
  expect(systemClock.now()).toBeGreaterThanOrEqual(before);
  expect(systemClock.wall()).toBeGreaterThan(Date.UTC(2020, 0));
  expect(systemRandom()).toBeGreaterThanOrEqual(0);
  expect(systemRandom()).toBeLessThan(1);
});

test("every goes on until it is cancelled, after comes once, and cancelling twice is fine", async () => {
  let rounds = 0;
  let cancelled = 0;
  const stop = after(1, () => cancelled++);
  stop();
  stop();
  await new Promise<void>((resolve) => {
    const cancel = every(1, () => {
      if (++rounds < 3) return;
      cancel();
      cancel();
      after(5, resolve);
    });
  });
  expect(rounds).toBe(3);
  expect(cancelled).toBe(0);
});

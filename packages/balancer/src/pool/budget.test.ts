import { describe, expect, test } from "bun:test";
import { RetryBudget } from "./budget.ts";

/** A budget that starts at `now` with totals of zero. */
function fresh(now = 0): RetryBudget {
  const budget = new RetryBudget();
  budget.tick(now, 0, 0);
  return budget;
}

describe("RetryBudget", () => {
  test("at rest, three a second over the window", () => {
    const budget = fresh();
    let made = 0;
    while (budget.allows(0.2, 0, made)) made++;
    expect(made).toBe(30);
  });

  test("under load, the share and no more", () => {
    const budget = fresh();
    let made = 0;
    while (budget.allows(0.2, 10_000, made)) made++;
    expect(made).toBe(2_000);
    made = 0;
    while (budget.allows(0, 10_000, made)) made++;
    expect(made).toBe(30);
  });

  test("only the last ten seconds count", () => {
    const budget = fresh();
    let now = 0;
    for (; now <= 20_000; now += 25) budget.tick(now, 10_000, 2_000);
    expect(budget.allows(0.2, 10_000, 2_000 + 29)).toBe(true);
    expect(budget.allows(0.2, 10_000, 2_000 + 30)).toBe(false);
  });

  test("everything failing for a minute at a steady rate retries a fifth of it", () => {
    const budget = fresh();
    let requests = 0;
    let retries = 0;
    for (let now = 0; now < 60_000; now += 10) {
      budget.tick(now, requests, retries);
      requests += 10;
      for (let i = 0; i < 10; i++) if (budget.allows(0.2, requests, retries)) retries++;
    }
    expect(retries / requests).toBeGreaterThan(0.19);
    expect(retries / requests).toBeLessThan(0.21);
  });

  test("totals that shrink, because a worker's row was cleared, forbid nothing and allow no flood", () => {
    const budget = fresh();
    for (let now = 0; now <= 11_000; now += 25) budget.tick(now, 50_000, 9_000);
    expect(budget.allows(0.2, 20_000, 100)).toBe(true);
    expect(budget.allows(0.2, 20_000, 9_030)).toBe(false);
  });

  test("a stall of an hour is one step", () => {
    const budget = fresh();
    budget.tick(3_600_000, 1_000, 500);
    expect(budget.allows(0.2, 1_000, 529)).toBe(true);
    expect(budget.allows(0.2, 1_000, 530)).toBe(false);
  });
});

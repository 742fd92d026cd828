import { expect, test } from "bun:test";
import fc from "fast-check";
import { readRetryAfter, renewalTime, retryTime } from "./schedule.ts";

const day = 86_400_000;
const now = Date.UTC(2026, 10, 27);

test("a certificate is renewed when a third of its life is left, or up to a tenth of that earlier", () => {
  expect(renewalTime(0, 90 * day, () => 0)).toBe(60 * day);
  expect(renewalTime(0, 90 * day, () => 1)).toBe(57 * day);
  // One of six days, as Let's Encrypt has them.
  expect(renewalTime(0, 6 * day, () => 0)).toBe(4 * day);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (days, chance) => {
      const at = renewalTime(0, days * day, () => chance);
      expect(at).toBeGreaterThan((days * day) / 2);
      expect(at).toBeLessThanOrEqual(((days * day) / 3) * 2 + 1);
    }),
  );
});

test("tries get rarer, by chance, and never beyond fifteen hours", () => {
  const minutes = (failures: number, chance = 0.5) =>
    Math.round((retryTime(failures, 0, now, () => chance) - now) / 60_000);
  expect([1, 2, 3, 4, 5, 6, 7, 1000].map((failures) => minutes(failures))).toEqual([1, 5, 30, 120, 360, 720, 720, 720]);
  expect([minutes(6, 0), minutes(6, 1)]).toEqual([540, 900]);
});

test("four failures take longer than half an hour: fewer than five validations an hour", () => {
  let at = now;
  for (let failures = 1; failures <= 4; failures++) at = retryTime(failures, 0, at, () => 0);
  expect(at - now).toBeGreaterThan(60 * 60_000);
});

test("never sooner than the authority asks for", () => {
  expect(retryTime(1, 3 * day, now, () => 0) - now).toBe(3 * day);
  expect(retryTime(6, 1000, now, () => 0.5) - now).toBe(day / 2);
});

test("Retry-After in seconds or as a date; what cannot be read asks for nothing", () => {
  expect(readRetryAfter("120", now)).toBe(120_000);
  expect(readRetryAfter(" 7 ", now)).toBe(7000);
  expect(readRetryAfter(new Date(now + 5000).toUTCString(), now)).toBe(5000);
  expect(readRetryAfter(new Date(now - 5000).toUTCString(), now)).toBe(0);
  for (const wrong of ["", "soon", "-5", "1e9", "NaN"]) expect([wrong, readRetryAfter(wrong, now)]).toEqual([wrong, 0]);
  expect(readRetryAfter("999999999", now)).toBe(7 * day);
});

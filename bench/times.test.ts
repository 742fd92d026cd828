import { expect, test } from "bun:test";
import { countTimes } from "./times.ts";

test("quantiles are those of the steps that times fall into", () => {
  const times = countTimes();
  expect(times.quantile(0.5)).toBe(0);
  for (let ms = 1; ms <= 100; ms++) times.add(ms);
  expect(times.quantile(0.5)).toBe(50_010);
  expect(times.quantile(0.99)).toBe(99_010);
  times.add(5000);
  expect(times.quantile(1)).toBe(200_000);
});

test("shorter than a step is one step", () => {
  const times = countTimes();
  times.add(0.0001);
  expect(times.quantile(0.99)).toBe(10);
});

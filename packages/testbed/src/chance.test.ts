import { expect, test } from "bun:test";
import { between, cuts, forSeeds, oneOf, seeded } from "./chance.ts";

test("a seed repeats, another differs", () => {
  const draw = (seed: number): readonly number[] => Array.from({ length: 50 }, seeded(seed));
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  expect(draw(1)).not.toEqual(draw(0x1_0000_0001));
});

test("numbers are spread evenly over [0, 1)", () => {
  const chance = seeded(42);
  const cells = Array.from({ length: 16 }, () => 0);
  const draws = 64_000;
  for (let at = 0; at < draws; at++) {
    const value = chance();
    expect(value >= 0 && value < 1).toBe(true);
    const cell = Math.floor(value * cells.length);
    cells[cell] = (cells[cell] ?? 0) + 1;
  }
  // Chi-square with 15 degrees of freedom: 37.7 is passed by chance once in a thousand seeds; this seed is fixed.
  const expected = draws / cells.length;
  const chiSquare = cells.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  expect(chiSquare).toBeLessThan(37.7);
});

test("integers reach both ends, lists give each of theirs, cuts lie inside", () => {
  const chance = seeded(3);
  const seen = new Set(Array.from({ length: 200 }, () => between(chance, 2, 4)));
  expect([...seen].sort()).toEqual([2, 3, 4]);
  expect(new Set(Array.from({ length: 100 }, () => oneOf(chance, ["a", "b"]))).size).toBe(2);
  for (let round = 0; round < 50; round++) {
    const places = cuts(chance, 10);
    expect(places.every((place, index) => place > (places[index - 1] ?? 0) && place < 10)).toBe(true);
  }
});

test("a failure names its seed", async () => {
  const run = forSeeds(5, (_, seed) => {
    if (seed === 3) throw new Error("broken");
  });
  await expect(run).rejects.toThrow("with PLIMSOLL_SEED=3: broken");
});

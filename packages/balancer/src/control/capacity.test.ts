import { expect, test } from "bun:test";
import { loadObject } from "../config/module.ts";
import { disk } from "../config/disk.ts";
import { workerCount, workersBecause } from "./capacity.ts";
import { coresAllowed } from "./cores.ts";

test("workers: auto is told with what decided it, a number is its own reason", () => {
  const plan = (workers: number | "auto") => {
    const loaded = loadObject(
      { listeners: { web: { address: ":0", routes: [{ respond: {} }] } }, workers },
      "test",
      disk,
    );
    if (!("plan" in loaded)) throw new Error("it has a plan");
    return loaded.plan;
  };
  expect(workersBecause(plan("auto"))).toEqual({ because: coresAllowed().because });
  expect(workerCount(plan("auto"))).toBe(coresAllowed().count);
  expect(workersBecause(plan(3))).toEqual({});
  expect(workerCount(plan(3))).toBe(3);
});

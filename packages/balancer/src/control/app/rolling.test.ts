import { expect, test } from "bun:test";
import fc from "fast-check";
import { nextRollStep, type Place } from "./rolling.ts";

const place = (name: string, serving: Place["serving"], replacement: Place["replacement"] = "none"): Place => ({
  name,
  serving,
  replacement,
});

test("works off the places one by one", () => {
  expect(nextRollStep([place("a", "old"), place("b", "old")])).toEqual({ kind: "start", name: "a" });
  expect(nextRollStep([place("a", "old", "ready"), place("b", "old")])).toEqual({ kind: "swap", name: "a" });
  expect(nextRollStep([place("a", "new"), place("b", "old")])).toEqual({ kind: "start", name: "b" });
  expect(nextRollStep([place("a", "new"), place("b", "new")])).toEqual({ kind: "done" });
});

test("fills empty places first", () => {
  expect(nextRollStep([place("a", "old"), place("b", "none")])).toEqual({ kind: "start", name: "b" });
});

test("stops at the first replacement that does not come up", () => {
  expect(nextRollStep([place("a", "new"), place("b", "old", "failed"), place("c", "old")])).toEqual({
    kind: "abort",
    name: "b",
  });
});

test("whatever comes up or not: never fewer serve than before, one change at a time, and it ends", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 12 }), (instances) => {
      // Each pair: does it serve at the beginning, and does its new version come up?
      let places = instances.map(([serves], index) => place(`app-${index}`, serves ? "old" : "none"));
      const comesUp = new Map(instances.map(([, up], index) => [`app-${index}`, up]));
      let serving = places.filter((each) => each.serving !== "none").length;
      for (let steps = 0; ; steps++) {
        expect(steps).toBeLessThanOrEqual(2 * instances.length);
        const step = nextRollStep(places);
        if (step.kind === "done") {
          expect(places.every((each) => each.serving === "new")).toBe(true);
          return;
        }
        if (step.kind === "abort") {
          expect(comesUp.get(step.name)).toBe(false);
          return;
        }
        places = places.map((each) => {
          if (each.name !== step.name) return each;
          if (step.kind === "swap") return place(each.name, "new");
          return place(each.name, each.serving, comesUp.get(each.name) === true ? "ready" : "failed");
        });
        expect(places.filter((each) => each.replacement !== "none").length).toBeLessThanOrEqual(1);
        const now = places.filter((each) => each.serving !== "none").length;
        expect(now).toBeGreaterThanOrEqual(serving);
        serving = now;
      }
    }),
  );
});

import { expect, test } from "bun:test";
import { type Entrant, Turnstile } from "./turnstile.ts";

/** A turnstile whose turns the test makes, and what happened to those who came: "held 3", "in 3". */
function stage() {
  const due: (() => void)[] = [];
  const turnstile = new Turnstile((fn) => void due.push(fn));
  const log: string[] = [];
  const gone = new Set<number>();
  return {
    turnstile,
    log,
    gone,
    enter(...numbers: readonly number[]): void {
      for (const number of numbers) {
        const entrant: Entrant = {
          hold: () => void log.push(`held ${number}`),
          letIn: () => (log.push(`in ${number}`), !gone.has(number)),
        };
        turnstile.enter(entrant);
      }
    },
    /** False when nothing was to be done. */
    turn(): boolean {
      const all = due.splice(0);
      expect(all.length).toBeLessThan(2);
      for (const fn of all) fn();
      return all.length > 0;
    },
    seen: () => log.splice(0),
  };
}

test("two begin in a turn, the others in later ones, in their order", () => {
  const { enter, turn, seen } = stage();
  enter(1, 2, 3, 4, 5);
  expect(seen()).toEqual(["held 3", "held 4", "held 5"]);
  turn();
  expect(seen()).toEqual(["in 3", "in 4"]);
  turn();
  expect(seen()).toEqual(["in 5"]);
});

test("nobody goes before those who wait, and one place may be left for a newcomer", () => {
  const { enter, turn, seen } = stage();
  enter(1, 2, 3, 4, 5);
  turn();
  enter(6);
  expect(seen()).toEqual(["held 3", "held 4", "held 5", "in 3", "in 4", "held 6"]);
  turn();
  expect(seen()).toEqual(["in 5", "in 6"]);
  turn();
  enter(7, 8, 9);
  expect(seen()).toEqual(["held 9"]);
});

test("who left while it waited takes nobody's place", () => {
  const { enter, turn, seen, gone } = stage();
  enter(1, 2, 3, 4, 5, 6);
  gone.add(3).add(5);
  seen();
  turn();
  expect(seen()).toEqual(["in 3", "in 4", "in 5", "in 6"]);
});

test("turns end when nobody comes, and begin again", () => {
  const { turnstile, enter, turn, seen, gone } = stage();
  enter(1, 2, 3);
  gone.add(3);
  expect([turn(), turn(), turnstile.held]).toEqual([true, false, 0]);
  enter(4, 5);
  expect(seen()).toEqual(["held 3", "in 3"]);
  expect([turn(), turn()]).toEqual([true, false]);
});

test("thousands that wait all go in, and are let go of", () => {
  const { turnstile, enter, turn, log } = stage();
  const all = Array.from({ length: 5000 }, (_, at) => at);
  enter(...all);
  let turns = 0;
  while (turn()) turns++;
  expect(log.filter((line) => line.startsWith("in"))).toEqual(all.slice(2).map((number) => `in ${number}`));
  expect([turns, turnstile.held]).toEqual([2500, 0]);
});

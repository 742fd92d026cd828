// 200 seeds of everything that thinks, in any weather; `npm run simulate -- --seeds 10000` has more.
import { describe, expect, test } from "bun:test";
import { Agenda } from "./agenda.ts";
import type { Sabotage } from "./scene.ts";
import { simulate } from "./world.ts";

test.each([0, 1, 2, 3])(
  "seeds %p mod 4 of 1 to 200: whatever happens, what must hold holds",
  (rest) => {
    let ejections = 0;
    for (let seed = 4 - rest; seed <= 200; seed += 4) {
      const outcome = simulate(seed);
      if (outcome.broken !== "") throw new Error(`seed ${seed}: ${outcome.broken}\n${outcome.trace.join("\n")}`);
      expect(outcome.requests).toBeGreaterThan(3_000);
      ejections += outcome.ejections;
    }
    // A weather in which nobody is ever ejected would prove nothing of ejections.
    expect(ejections).toBeGreaterThan(20);
  },
  120_000,
);

test("the same seed is the same run, to the line", () => {
  const [first, second, other] = [simulate(7), simulate(7), simulate(8)];
  expect(second).toEqual(first);
  expect(other!.trace).not.toEqual(first!.trace);
});

describe("what is done wrong on purpose is found", () => {
  const wrongs: [Exclude<Sabotage, "">, RegExp][] = [
    ["any endpoint", /picked .*, which /],
    ["no end", /counts \d+ in flight in slot/],
    ["no budget", /retries in nine seconds/],
    ["eject all", /are ejected, where/],
    ["heavy", /has a share of/],
    ["deaf", /keep-alive race/],
    ["early cut", /before the end of its window/],
  ];
  test.each(wrongs)(
    "%s",
    (sabotage, message) => {
      for (let seed = 1; seed <= 40; seed++) {
        const { broken } = simulate(seed, sabotage);
        if (broken === "") continue;
        expect(broken).toMatch(message);
        return;
      }
      throw new Error(`forty seeds with "${sabotage}", and nothing was found`);
    },
    60_000,
  );
});

test("the agenda does what is due in its order, and nothing that was cancelled", () => {
  const agenda = new Agenda(100);
  const done: string[] = [];
  const note = (what: string) => () => void done.push(`${what} ${agenda.now}`);
  agenda.after(20, note("b"));
  agenda.after(10, note("a"));
  agenda.after(20, note("c"));
  agenda.after(15, note("never"))();
  const stop = agenda.every(8, note("every"));
  while (agenda.next(125));
  stop();
  while (agenda.next(1_000));
  expect(done).toEqual(["every 108", "a 110", "every 116", "b 120", "c 120", "every 124"]);
});

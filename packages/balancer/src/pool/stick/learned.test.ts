import { describe, expect, test } from "bun:test";
import { hashString } from "../../base/hash.ts";
import { SharedTable } from "../../observe/table.ts";
import { seeded } from "../fixtures.ts";
import { LearnedSessions } from "./learned.ts";

function tableOf(sessions: number): SharedTable {
  return SharedTable.local({ workers: 2, endpoints: 2, pools: 1, listeners: 1, sessions });
}

const of = (name: string) => [hashString(name, 1), hashString(name, 2)] as const;

describe("learned sessions", () => {
  test("what one worker learned, all know", () => {
    const table = tableOf(1024);
    const [here, there] = [new LearnedSessions(table), new LearnedSessions(table)];
    expect(there.find(...of("s"))).toBe(-1);
    here.remember(...of("s"), 7);
    expect(there.find(...of("s"))).toBe(7);
    there.remember(...of("s"), 0);
    expect(here.find(...of("s"))).toBe(0);
  });

  test("tens of thousands are told apart, and stay within their cells", () => {
    const table = tableOf(65_536);
    const before = table.cells.slice(0, table.sessions);
    const sessions = new LearnedSessions(table);
    for (let i = 0; i < 20_000; i++) sessions.remember(...of(`session ${i}`), i % 4000);
    let wrong = 0;
    let known = 0;
    for (let i = 0; i < 20_000; i++) {
      const found = sessions.find(...of(`session ${i}`));
      if (found === i % 4000) known++;
      else if (found !== -1) wrong++;
    }
    expect(wrong).toBe(0);
    // A third full: few sets of eight are over.
    expect(known).toBeGreaterThan(19_500);
    expect(table.cells.slice(0, table.sessions)).toEqual(before);
    for (let i = 0; i < 20_000; i++) expect(sessions.find(...of(`stranger ${i}`))).toBe(-1);
  });

  test("a flood of new ones does not drive out those that are used", () => {
    const sessions = new LearnedSessions(tableOf(256));
    const used = Array.from({ length: 40 }, (_, i) => `used ${i}`);
    for (const [i, name] of used.entries()) sessions.remember(...of(name), i);
    const random = seeded(4);
    for (let i = 0; i < 5000; i++) {
      for (let again = 0; again < 4; again++) sessions.find(...of(used[Math.floor(random() * used.length)]!));
      sessions.remember(...of(`flood ${i}`), 1);
    }
    const kept = used.filter((name, i) => sessions.find(...of(name)) === i);
    expect(kept.length).toBeGreaterThan(30);
  });

  test("without room nothing is remembered, and nothing goes wrong", () => {
    const sessions = new LearnedSessions(tableOf(0));
    sessions.remember(...of("s"), 1);
    expect(sessions.find(...of("s"))).toBe(-1);
  });

  test("the extremes of slots and hashes", () => {
    const sessions = new LearnedSessions(tableOf(64));
    for (const first of [0, 63, 2 ** 32 - 1]) {
      for (const second of [0, 1, 2 ** 32 - 1]) {
        for (const slot of [0, 1, 32_766]) {
          sessions.remember(first, second, slot);
          expect(sessions.find(first, second)).toBe(slot);
        }
        sessions.remember(first, second, 32_767); // more than a cell can name: what is there stays
        expect(sessions.find(first, second)).toBe(32_766);
      }
    }
  });
});

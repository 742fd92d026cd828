// What a reader would be misled by: a rival's better line that is not named.
import { expect, test } from "bun:test";
import { chapters } from "./chapters/table.ts";
import { beaten, reportText, type Told } from "./report.ts";

function told(unit: "count" | "ms", plimsoll: number, nginx: number): readonly Told[] {
  const [chapter] = chapters;
  if (!chapter) throw new Error("no chapters");
  const figures = {
    plimsoll: { text: `${plimsoll} here`, bad: plimsoll },
    nginx: { text: `${nginx} there`, bad: nginx },
  };
  return [{ chapter, lines: [{ title: "a line", unit, figures }], problem: undefined }];
}

test("a rival that fails less is named, by however little", () => {
  expect(beaten(told("count", 1, 0))).toEqual(["rolling-restart, a line: nginx 0 there; plimsoll 1 here"]);
  expect(beaten(told("count", 0, 0))).toEqual([]);
  expect(beaten(told("count", 0, 1))).toEqual([]);
});

test("a rival that is faster is named when that is more than noise", () => {
  expect(beaten(told("ms", 100, 90))).toEqual([]);
  expect(beaten(told("ms", 100, 50))).toHaveLength(1);
});

test("the report has a column for everybody, and says what was not told", () => {
  const text = reportText(["Made by hand."], { plimsoll: "plimsoll 1", nginx: "nginx 2" }, [
    ...told("count", 1, 0),
    ...told("count", 0, 0).map((one) => ({ ...one, lines: [], problem: "no wrk" })),
  ]);
  expect(text).toMatch(/\|\s+\| plimsoll 1 \| nginx 2 +\|/);
  expect(text).toContain("| a line | 1 here     | 0 there |");
  expect(text).toContain("Not told: no wrk");
  expect(text).toContain("- rolling-restart, a line: nginx 0 there; plimsoll 1 here");
});

import { expect, test } from "bun:test";
import { WorkerCell } from "../observe/table.ts";
import { DescriptorWatch } from "./worker-descriptors.ts";

test("doors that flap are one shortage, which is over after a second of calm", () => {
  const cells = new Float64Array(WorkerCell.size);
  let now = 1_000;
  const told: string[] = [];
  const clock = { now: () => now, wall: () => 1_000_000 + now };
  const watch = new DescriptorWatch(cells, 0, clock, (level, name, text) => told.push(`${level} ${name}: ${text}`));
  const state = () => [cells[WorkerCell.shortSince], cells[WorkerCell.shortages]];
  watch.review();
  expect([told, state()]).toEqual([[], [0, 0]]);
  for (let turn = 0; turn < 10; turn++) {
    watch.changed({ short: true, cause: "", open: 90, room: 100 });
    watch.review();
    now += 50;
    watch.changed({ short: false, cause: "", open: 80, room: 100 });
    watch.review();
    now += 50;
  }
  expect(told).toHaveLength(1);
  expect(told[0]).toStartWith("warn worker.descriptors-short: descriptors run out: 90 connections are open of 100");
  expect(state()).toEqual([1_001_000, 1]);
  now += 900;
  watch.review();
  expect(told).toHaveLength(1);
  now += 50;
  watch.review();
  expect(told[1]).toBe("info worker.descriptors-enough: new connections are accepted again, after 1s950ms");
  expect(state()).toEqual([0, 1]);
  watch.changed({ short: true, cause: "", open: 90, room: 100 });
  now += 5_000;
  watch.review();
  expect(told).toHaveLength(3);
  expect(state()).toEqual([1_002_950, 2]);
});

test("it says whose limit it is", () => {
  const told = (cause: string) => {
    let said = "";
    const clock = { now: () => 1_000, wall: () => 1_000_000 };
    const watch = new DescriptorWatch(new Float64Array(WorkerCell.size), 0, clock, (_, __, text) => void (said = text));
    watch.changed({ short: true, cause, open: 3, room: 100 });
    return said;
  };
  expect(told("")).toContain("ulimit -n");
  expect(told("ENFILE")).toContain("sysctl fs.file-max");
  expect(told("ENFILE")).not.toContain("ulimit");
  expect(told("ENOBUFS")).toContain("(ENOBUFS)");
});

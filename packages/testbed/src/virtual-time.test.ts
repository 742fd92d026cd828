import { expect, test } from "bun:test";
import { VirtualTime } from "./virtual-time.ts";

test("alarms run in order of time, then in the order they were set", () => {
  const time = new VirtualTime(100);
  const seen: string[] = [];
  time.after(20, () => seen.push(`b${time.now()}`));
  time.after(10, () => seen.push(`a${time.now()}`));
  time.after(20, () => seen.push(`c${time.now()}`));
  time.advance(19);
  expect(seen).toEqual(["a110"]);
  time.advance(1);
  expect(seen).toEqual(["a110", "b120", "c120"]);
  expect(time.pending).toBe(0);
});

test("an interval repeats, an alarm may set and cancel others while it runs", () => {
  const time = new VirtualTime();
  const seen: number[] = [];
  const stop = time.every(10, () => {
    seen.push(time.now());
    if (time.now() === 30) stop();
    if (seen.length === 1) time.after(5, () => seen.push(-time.now()));
  });
  time.advance(100);
  expect(seen).toEqual([10, -15, 20, 30]);
  expect(time.now()).toBe(100);
  expect(time.pending).toBe(0);
});

test("wall time moves with it", () => {
  const time = new VirtualTime(7, 1000);
  time.advance(5);
  expect(time.wall()).toBe(1005);
  expect(time.now()).toBe(12);
});

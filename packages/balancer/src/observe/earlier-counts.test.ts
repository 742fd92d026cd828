import { describe, expect, test } from "bun:test";
import { takeCounts, takeKeepAliveAges } from "./earlier-counts.ts";
import { EndpointCell, ListenerCell, PoolCell, SharedTable, WorkerCell } from "./table.ts";

const table = (workers: number) => SharedTable.local({ workers, endpoints: 4, pools: 2, listeners: 2 });

const slots = { endpoints: [[0, 3]], pools: [[1, 0]], listeners: [[0, 1]] } as const;

describe("counts of an earlier program", () => {
  test("are part of the sums, wherever its slots are now, and grow with it; other slots have nothing of it", () => {
    const [old, next] = [table(2), table(1)];
    old.cells[old.endpoint(0, 0) + EndpointCell.requests] = 5;
    old.cells[old.endpoint(1, 0) + EndpointCell.requests] = 7;
    old.cells[old.pool(1, 1) + PoolCell.latency] = 3;
    old.cells[old.listener(0, 0) + ListenerCell.bytesIn] = 900;
    old.cells[old.worker(1) + WorkerCell.faults + 2] = 4;
    next.cells[next.endpoint(0, 3) + EndpointCell.requests] = 100;
    takeCounts(old, next, slots);
    const sums = () => [
      next.sum(next.endpoint(0, 3) + EndpointCell.requests),
      next.sum(next.pool(0, 0) + PoolCell.latency),
      next.sum(next.listener(0, 1) + ListenerCell.bytesIn),
      next.sum(next.worker(0) + WorkerCell.faults + 2),
    ];
    expect(sums()).toEqual([112, 3, 900, 4]);
    old.cells[old.endpoint(1, 0) + EndpointCell.requests] = 8;
    takeCounts(old, next, slots);
    takeCounts(old, next, slots);
    expect(sums()).toEqual([113, 3, 900, 4]);
    expect(next.sum(next.endpoint(0, 0) + EndpointCell.requests)).toBe(0);
    // What a worker's own row says is its own.
    expect(next.cells[next.endpoint(0, 3) + EndpointCell.requests]).toBe(100);
  });

  test("go on to the program after the next", () => {
    const [first, second, third] = [table(2), table(2), table(3)];
    first.cells[first.listener(1, 0) + ListenerCell.requests] = 10;
    takeCounts(first, second, { endpoints: [], pools: [], listeners: [[0, 0]] });
    second.cells[second.listener(0, 0) + ListenerCell.requests] = 1;
    takeCounts(second, third, { endpoints: [], pools: [], listeners: [[0, 1]] });
    expect(third.sum(third.listener(0, 1) + ListenerCell.requests)).toBe(11);
  });

  test("what tells how things are now stays with it", () => {
    const [old, next] = [table(1), table(1)];
    const now = [
      [
        old.endpoint(0, 0),
        next.endpoint(0, 3),
        [EndpointCell.inFlight, EndpointCell.idle, EndpointCell.tunnels, EndpointCell.ewma],
      ],
      [
        old.pool(0, 1),
        next.pool(0, 0),
        [PoolCell.queued, PoolCell.queuedOwn, PoolCell.longest, PoolCell.longestBefore],
      ],
      [old.listener(0, 0), next.listener(0, 1), [ListenerCell.open]],
      [old.worker(0), next.worker(0), [WorkerCell.pid, WorkerCell.rss, WorkerCell.heartbeat, WorkerCell.shortSince]],
    ] as const;
    for (const [from, , cells] of now) for (const cell of cells) old.cells[from + cell] = 6;
    takeCounts(old, next, slots);
    for (const [, to, cells] of now) for (const cell of cells) expect(next.sum(to + cell)).toBe(0);
  });

  test("a slot that gets another meaning forgets them", () => {
    const [old, next] = [table(1), table(1)];
    old.cells[old.endpoint(0, 0) + EndpointCell.requests] = 5;
    takeCounts(old, next, slots);
    next.clearEndpoint(3);
    expect(next.sum(next.endpoint(0, 3) + EndpointCell.requests)).toBe(0);
  });
});

test("every worker begins with the shortest age that was learned of an endpoint's idle connections", () => {
  const [old, next] = [table(3), table(2)];
  old.cells[old.endpoint(1, 0) + EndpointCell.keepAlive] = 9_000;
  old.cells[old.endpoint(2, 0) + EndpointCell.keepAlive] = 4_000;
  takeKeepAliveAges(old, next, [
    [0, 3],
    [1, 1],
  ]);
  const ages = (slot: number) => [0, 1].map((row) => next.cells[next.endpoint(row, slot) + EndpointCell.keepAlive]);
  expect([ages(3), ages(1)]).toEqual([
    [4_000, 4_000],
    [0, 0],
  ]);
});

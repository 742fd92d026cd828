import { describe, expect, test } from "bun:test";
import { IdleConnections, type IdleConnection } from "./idle.ts";

interface TestConnection extends IdleConnection {
  retired: number;
}

/** Like a real one, it tells its keeper when it closes, also while the keeper is closing it. */
function connection(keeper: IdleConnections): TestConnection {
  return {
    idleSince: 0,
    exchanges: 0,
    retired: 0,
    retire() {
      this.retired++;
      keeper.remove(this);
    },
  };
}

function filled(count: number): { idle: IdleConnections; connections: TestConnection[] } {
  const idle = new IdleConnections(count);
  const connections = Array.from({ length: count }, () => connection(idle));
  for (const [index, one] of connections.entries()) expect(idle.put(one, 1_000 + 100 * index)).toBe(true);
  return { idle, connections };
}

describe("IdleConnections", () => {
  test("gives back the newest first", () => {
    const { idle, connections } = filled(3);
    expect(idle.take(1_300, 4_000)).toBe(connections[2]!);
    expect(idle.take(1_300, 4_000)).toBe(connections[1]!);
    expect(idle.take(1_300, 4_000)).toBe(connections[0]!);
    expect(idle.take(1_300, 4_000)).toBeNull();
  });

  test("one that is exactly as old as the limit is too old: the peer closes at that very moment", () => {
    const { idle, connections } = filled(1);
    expect(idle.take(1_999, 1_000)).toBe(connections[0]!);
    idle.put(connections[0]!, 2_000);
    expect(idle.take(3_000, 1_000)).toBeNull();
    expect(connections[0]!.retired).toBe(1);
  });

  test("when the newest is too old, so are all", () => {
    const { idle, connections } = filled(3);
    expect(idle.take(9_000, 1_000)).toBeNull();
    expect(connections.map((one) => one.retired)).toEqual([1, 1, 1]);
    expect(idle.size).toBe(0);
  });

  test("keeps no more than its place, and says so", () => {
    const { idle, connections } = filled(2);
    expect(idle.put(connection(idle), 1_200)).toBe(false);
    expect(idle.size).toBe(2);
    expect(connections.some((one) => one.retired > 0)).toBe(false);
    expect(new IdleConnections(0).put(connection(idle), 0)).toBe(false);
  });

  test("forgets one that died, and does not mind one it does not know", () => {
    const { idle, connections } = filled(3);
    idle.remove(connections[1]!);
    idle.remove(connections[1]!);
    expect(idle.take(1_300, 4_000)).toBe(connections[2]!);
    expect(idle.take(1_300, 4_000)).toBe(connections[0]!);
    expect(connections[1]!.retired).toBe(0);
  });

  test("prunes the old ones only", () => {
    const { idle, connections } = filled(3);
    idle.prune(2_100, 1_000);
    expect(connections.map((one) => one.retired)).toEqual([1, 1, 0]);
    expect(idle.size).toBe(1);
  });

  test("cleared, it takes new ones; retired or not accepting, it does not", () => {
    const { idle, connections } = filled(2);
    idle.clear();
    expect(connections.map((one) => one.retired)).toEqual([1, 1]);
    expect(idle.put(connections[0]!, 0)).toBe(true);
    idle.accepting = false;
    expect(idle.put(connections[1]!, 0)).toBe(false);
    idle.accepting = true;
    idle.retireAll();
    expect(connections[0]!.retired).toBe(2);
    expect(idle.put(connections[1]!, 0)).toBe(false);
  });
});

describe("watching", () => {
  test("the oldest that is given up is kept to see when it ends, and never used again", () => {
    const { idle, connections } = filled(3);
    idle.watching = true;
    idle.prune(9_000, 4_000);
    expect(connections.map((one) => one.retired)).toEqual([0, 1, 1]);
    expect([idle.size, idle.watchedFor(9_000)]).toEqual([1, 8_000]);
    expect(idle.take(9_000, 100_000)).toBeNull();
    idle.remove(connections[0]!);
    expect([idle.size, idle.watchedFor(9_000)]).toEqual([0, 0]);
  });

  test("one at a time, also when a request found them too old", () => {
    const { idle, connections } = filled(3);
    idle.watching = true;
    expect(idle.take(9_000, 4_000)).toBeNull();
    expect(connections.map((one) => one.retired)).toEqual([0, 1, 1]);
    const next = connection(idle);
    idle.put(next, 9_000);
    expect(idle.take(20_000, 4_000)).toBeNull();
    expect(next.retired).toBe(1);
    expect(idle.watchedFor(20_000)).toBe(19_000);
  });

  test("ends with what made it worth while, after its time, and when all are cleared", () => {
    for (const end of [
      (idle: IdleConnections) => {
        idle.watching = false;
        idle.prune(10_000, 4_000);
      },
      (idle: IdleConnections) => idle.prune(1_000_000, 4_000),
      (idle: IdleConnections) => idle.clear(),
      (idle: IdleConnections) => idle.retireAll(),
    ]) {
      const { idle, connections } = filled(1);
      idle.watching = true;
      idle.prune(9_000, 4_000);
      expect(connections[0]!.retired).toBe(0);
      end(idle);
      expect([connections[0]!.retired, idle.size]).toEqual([1, 0]);
    }
  });

  test("a reuse that was avoided is told once, and only if there was one to avoid", () => {
    const { idle } = filled(2);
    expect(idle.aged()).toBe(false);
    idle.take(9_000, 4_000);
    expect([idle.aged(), idle.aged()]).toEqual([true, false]);
    idle.put(connection(idle), 9_000);
    idle.prune(14_000, 4_000);
    idle.take(14_000, 4_000);
    expect([idle.aged(), idle.aged()]).toEqual([true, false]);
    idle.put(connection(idle), 15_000);
    idle.prune(20_000, 4_000);
    idle.put(connection(idle), 21_000);
    idle.take(21_000, 4_000);
    expect(idle.aged()).toBe(false);
  });
});

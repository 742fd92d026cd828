import { describe, expect, test } from "bun:test";
import { DescriptorGate, type Door } from "./descriptor-gate.ts";
import type { Timers } from "./clock.ts";

/** Timers that go off when the test says so. */
function handTimers(): Timers & { readonly running: Set<() => void>; tick(): void } {
  const running = new Set<() => void>();
  const start = (_: number, fn: () => void) => {
    running.add(fn);
    return () => void running.delete(fn);
  };
  return { every: start, after: start, running, tick: () => [...running].forEach((fn) => fn()) };
}

function door(fails: () => boolean = () => false): Door & { state: string } {
  return {
    state: "open",
    open() {
      if (fails()) throw new Error("EMFILE");
      this.state = "open";
    },
    shut() {
      this.state = "shut";
    },
  };
}

function take(gate: DescriptorGate, count: number): void {
  for (let i = 0; i < count; i++) gate.taken(false);
}

describe("the descriptor gate", () => {
  test("an eighth is kept for upstream connections; doors open again a little below", () => {
    const gate = new DescriptorGate(80);
    const web = door();
    gate.add(web);
    take(gate, 69);
    expect(gate.shouldPause).toBe(false);
    gate.taken(false);
    expect(gate.shouldPause).toBe(true);
    expect(gate.isFull).toBe(false);
    gate.pause();
    expect(web.state).toBe("shut");
    expect(gate.shouldPause).toBe(false);
    take(gate, 10);
    expect(gate.isFull).toBe(true);
    for (let i = 0; i < 12; i++) gate.freed(false);
    expect(web.state).toBe("shut");
    gate.freed(false);
    expect(web.state).toBe("open");
  });

  test("half is for clients: each may need a connection to its endpoint at the same time", () => {
    const gate = new DescriptorGate(64);
    const web = door();
    gate.add(web);
    for (let i = 0; i < 31; i++) gate.taken(true);
    expect(gate.shouldPause).toBe(false);
    gate.taken(true);
    expect(gate.shouldPause).toBe(true);
    gate.pause();
    take(gate, 20);
    gate.freed(true);
    expect(web.state).toBe("shut");
    gate.freed(true);
    expect(web.state).toBe("open");
  });

  test("a listener that is added meanwhile is shut too, and one that was closed stays closed", () => {
    const gate = new DescriptorGate(8);
    const gone = door();
    gate.add(gone);
    take(gate, 7);
    gate.pause();
    gate.delete(gone);
    const late = door();
    gate.add(late);
    expect(late.state).toBe("shut");
    for (let i = 0; i < 7; i++) gate.freed(false);
    expect([gone.state, late.state]).toEqual(["shut", "open"]);
  });

  test("a door that cannot open is tried again by the second, not at once", () => {
    const timers = handTimers();
    let short = true;
    const gate = new DescriptorGate(8, timers);
    const web = door();
    const other = door(() => short);
    gate.add(web);
    gate.add(other);
    take(gate, 7);
    gate.pause();
    for (let i = 0; i < 2; i++) gate.freed(false);
    expect([web.state, other.state]).toEqual(["shut", "shut"]);
    expect(timers.running.size).toBe(1);
    timers.tick();
    expect(other.state).toBe("shut");
    expect(timers.running.size).toBe(1);
    short = false;
    timers.tick();
    expect([web.state, other.state]).toEqual(["open", "open"]);
    expect(timers.running.size).toBe(0);
  });

  test("by itself it measures the process's own limit", () => {
    const gate = new DescriptorGate(undefined);
    expect(gate.isFull).toBe(false);
    expect(gate.shouldPause).toBe(false);
  });
});

test("half is for clients while there are few, and all but some thousands where there are many", () => {
  for (const [max, clients] of [
    [64, 32],
    [65, 32],
    [8_192, 4_096],
    [20_000, 15_904],
  ] as const) {
    const gate = new DescriptorGate(max);
    for (let i = 1; i < clients; i++) gate.taken(true);
    expect(gate.shouldPause).toBe(false);
    gate.taken(true);
    expect(gate.shouldPause).toBe(true);
  }
});

test("doors that are held stay shut whatever descriptors there are, and open when both reasons are gone", () => {
  const gate = new DescriptorGate(16);
  const done: string[] = [];
  gate.add({ open: () => done.push("open"), shut: () => done.push("shut") });
  gate.hold(true);
  gate.hold(true);
  expect(done).toEqual(["shut"]);
  gate.add({ open: () => done.push("late open"), shut: () => done.push("late shut") });
  expect(done).toEqual(["shut", "late shut"]);
  for (let i = 0; i < 16; i++) gate.taken(false);
  gate.pause();
  for (let i = 0; i < 16; i++) gate.freed(false);
  expect(done).not.toContain("open");
  gate.hold(false);
  expect(done).toContain("open");
  expect(done).toContain("late open");
});

test("where the system has none the doors are shut, once, and asked again by the second until it has", () => {
  const timers = handTimers();
  const told: string[] = [];
  let lacking = "ENFILE";
  const gate = new DescriptorGate(
    16,
    timers,
    ({ short, cause }) => told.push(`${short} ${cause}`),
    () => lacking,
  );
  const web = door();
  gate.add(web);
  gate.taken(true);
  gate.starve();
  gate.starve();
  expect([web.state, told]).toEqual(["shut", ["true ENFILE"]]);
  // That one of ours ends says nothing of the system.
  gate.freed(true);
  expect(web.state).toBe("shut");
  timers.tick();
  timers.tick();
  expect([web.state, timers.running.size]).toEqual(["shut", 1]);
  lacking = "";
  timers.tick();
  expect([web.state, timers.running.size]).toEqual(["open", 0]);
  expect(told).toEqual(["true ENFILE", "false "]);
  // It gives sockets, and accepts all the same nobody: that has a reason, too.
  gate.starve();
  expect(told.at(-1)).toBe("true accept fails");
  timers.tick();
  expect(web.state).toBe("open");
});

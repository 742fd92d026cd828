import { expect, test } from "bun:test";
import type { BunConnection } from "./bun-connection.ts";
import type { Timers } from "./clock.ts";
import { Lingering } from "./lingering.ts";

/** Time by hand, and who was closed. */
function stage() {
  const on: { sweep: (() => void) | undefined } = { sweep: undefined };
  const timers: Timers = {
    every(_, fn) {
      on.sweep = fn;
      return () => (on.sweep = undefined);
    },
    after: () => () => {},
  };
  const lingering = new Lingering(timers);
  const closed: string[] = [];
  const connection = (name: string, owes = () => false): BunConnection => {
    // As Bun does: the event comes inside the call, and takes it out of the set that is being swept.
    const close = () => {
      closed.push(name);
      lingering.delete(made);
    };
    const made = {
      socket: { close },
      get owesLastWord() {
        return owes();
      },
    } as unknown as BunConnection;
    return made;
  };
  return { on, lingering, closed, connection };
}

test("one whose last word is not out stays until it is, and no longer than fifteen looks", () => {
  const { on, lingering, closed, connection } = stage();
  let owes = true;
  lingering.add(connection("slow", () => owes));
  lingering.add(connection("stands still", () => true));
  const gone = connection("gone", () => true);
  lingering.add(gone);
  for (let i = 0; i < 5; i++) on.sweep!();
  expect(closed).toEqual([]);
  lingering.delete(gone);
  owes = false;
  on.sweep!();
  expect(closed).toEqual(["slow"]);
  let sweeps = 6;
  for (; on.sweep !== undefined && sweeps < 100; sweeps++) on.sweep();
  expect([closed, sweeps]).toEqual([["slow", "stands still"], 16]);
  expect(lingering.size).toBe(0);
});

test("a connection is let go at the second sweep, or when the peer is done; the sweep stops when none is left", () => {
  const { on, lingering, closed, connection } = stage();
  const done = connection("done");
  lingering.add(done);
  lingering.add(connection("slow"));
  on.sweep!();
  expect(closed).toEqual([]);
  lingering.delete(done);
  lingering.add(connection("later"));
  on.sweep!();
  expect(closed).toEqual(["slow"]);
  expect(lingering.size).toBe(1);
  on.sweep!();
  expect(closed).toEqual(["slow", "later"]);
  expect(on.sweep).toBeUndefined();
  for (const name of ["x", "y"]) lingering.add(connection(name));
  lingering.clear();
  expect(closed.slice(2)).toEqual(["x", "y"]);
  expect(lingering.size).toBe(0);
});

import { expect, test } from "bun:test";
import type { BunConnection } from "./bun-connection.ts";
import type { Timers } from "./clock.ts";
import { Lingering } from "./lingering.ts";

test("a connection is let go at the second sweep, or when the peer is done; the sweep stops when none is left", () => {
  let sweep: (() => void) | undefined;
  const timers: Timers = {
    every(_, fn) {
      sweep = fn;
      return () => (sweep = undefined);
    },
    after: () => () => {},
  };
  const lingering = new Lingering(timers);
  const closed: string[] = [];
  const connection = (name: string): BunConnection => {
    // As Bun does: the event comes inside the call, and takes it out of the set that is being swept.
    const close = () => {
      closed.push(name);
      lingering.delete(made);
    };
    const made = { socket: { close } } as unknown as BunConnection;
    return made;
  };
  const done = connection("done");
  lingering.add(done);
  lingering.add(connection("slow"));
  sweep!();
  expect(closed).toEqual([]);
  lingering.delete(done);
  lingering.add(connection("later"));
  sweep!();
  expect(closed).toEqual(["slow"]);
  expect(lingering.size).toBe(1);
  sweep!();
  expect(closed).toEqual(["slow", "later"]);
  expect(sweep).toBeUndefined();
  for (const name of ["x", "y"]) lingering.add(connection(name));
  lingering.clear();
  expect(closed.slice(2)).toEqual(["x", "y"]);
  expect(lingering.size).toBe(0);
});

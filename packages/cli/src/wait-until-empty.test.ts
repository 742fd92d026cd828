import { expect, test } from "bun:test";
import type { Status } from "@plimsoll/balancer/src/control/status.ts";
import { waitUntilEmpty } from "./wait-until-empty.ts";

interface Moment {
  readonly inFlight: number;
  readonly tunnels: number;
  readonly empty?: boolean;
  readonly cut?: number;
  readonly where?: "leaving" | "gone" | "back";
}

/** Waits through these moments; returns what was said. */
async function wait(...moments: readonly Moment[]) {
  const said: string[] = [];
  let at = 0;
  const status = (): Status => {
    const { inFlight, tunnels, empty = false, cut = 0, where } = moments[Math.min(at++, moments.length - 1)] as Moment;
    const drain = { since: 0, until: Date.now() + 18_000, empty, cut: { exchanges: cut, tunnels: 0 } };
    const endpoint = {
      id: "e1",
      inFlight,
      tunnels,
      oldest: inFlight > 0 ? 12_000 : 0,
      drain: where === "back" ? null : drain,
    };
    const leaving = { pool: "app", id: "e1", exchanges: inFlight - tunnels, tunnels, oldest: 12_000, ...drain };
    return {
      pools: [{ name: "app", endpoints: where === undefined || where === "back" ? [endpoint] : [] }],
      leaving: where === "leaving" ? [leaving] : [],
    } as unknown as Status;
  };
  const cut = await waitUntilEmpty(
    () => Promise.resolve(status()),
    "app",
    "e1",
    { out: (text) => void said.push(text), err: (text) => void said.push(text) },
    () => Promise.resolve(),
  );
  return { cut, said };
}

test("says what is left whenever it changes, and when nothing is", async () => {
  const { cut, said } = await wait(
    { inFlight: 4, tunnels: 1 },
    { inFlight: 4, tunnels: 1 },
    { inFlight: 1, tunnels: 0 },
    // Not one worker has anything, but not every one is known to have looked.
    { inFlight: 0, tunnels: 0 },
    { inFlight: 0, tunnels: 0, empty: true },
  );
  expect(cut).toBe(false);
  expect(said).toEqual([
    "3 requests and 1 tunnel in flight, the oldest for 12s; 18s left of the window\n",
    "1 request in flight, the oldest for 12s; 18s left of the window\n",
    "nothing in flight; 18s left of the window\n",
    "Nothing is left at app/e1: it can be stopped.\n",
  ]);
});

test("tells what was cut", async () => {
  const { cut, said } = await wait({ inFlight: 2, tunnels: 0 }, { inFlight: 0, tunnels: 0, empty: true, cut: 2 });
  expect(cut).toBe(true);
  expect(said.at(-1)).toBe("2 requests cut at the end of the window.\n");
});

test("goes on when the endpoint leaves the configuration", async () => {
  const { cut, said } = await wait(
    { inFlight: 2, tunnels: 0 },
    { inFlight: 1, tunnels: 0, where: "leaving" },
    { inFlight: 0, tunnels: 0, where: "gone" },
  );
  expect(cut).toBe(false);
  expect(said.at(-1)).toBe("app/e1 has left the configuration, and nothing of it is left.\n");
});

test("a drain that was taken back is an error", async () => {
  await expect(wait({ inFlight: 1, tunnels: 0 }, { inFlight: 1, tunnels: 0, where: "back" })).rejects.toThrow(
    "somebody took it back",
  );
});

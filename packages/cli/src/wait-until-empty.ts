// `plimsoll drain --wait`: looks on until nothing is left at an endpoint, and says what is.
import { counted, type DrainFacts, type UnderWay } from "@plimsoll/balancer/src/control/drains.ts";
import type { Status } from "@plimsoll/balancer/src/control/status.ts";
import { seconds } from "./live-status.ts";
import { CommandError, type Io } from "./spec.ts";

/** How often it looks, ms. */
const look = 200;

interface Seen extends UnderWay {
  readonly drain: DrainFacts;
}

/**
 * Resolves when nothing is left: to whether the end of the window cut something. A CommandError when the drain was taken
 * back meanwhile.
 */
export async function waitUntilEmpty(
  ask: () => Promise<Status>,
  pool: string,
  endpoint: string,
  io: Pick<Io, "out" | "err">,
  sleep: (ms: number) => Promise<unknown> = Bun.sleep,
): Promise<boolean> {
  const name = `${pool}/${endpoint}`;
  let shown = "";
  let cut = { exchanges: 0, tunnels: 0 };
  for (;;) {
    const seen = find(await ask(), pool, endpoint);
    if (seen === "back") throw new CommandError(`${name} does not drain any more: somebody took it back.`);
    if (seen === "gone") {
      io.out(`${name} has left the configuration, and nothing of it is left.\n`);
      break;
    }
    cut = seen.drain.cut;
    if (seen.drain.empty) {
      io.out(`Nothing is left at ${name}: it can be stopped.\n`);
      break;
    }
    const left = counted(seen.exchanges, seen.tunnels);
    if (left !== shown) io.err(`${progress(left, seen)}\n`);
    shown = left;
    await sleep(look);
  }
  if (cut.exchanges + cut.tunnels === 0) return false;
  io.err(`${counted(cut.exchanges, cut.tunnels)} cut at the end of the window.\n`);
  return true;
}

/** "3 requests and 1 tunnel in flight, the oldest for 12s; 18s left of the window" */
function progress(left: string, { oldest, drain }: Seen): string {
  const age = oldest > 0 ? `, the oldest for ${seconds(oldest)}` : "";
  return `${left} in flight${age}; ${seconds(drain.until - Date.now())} left of the window`;
}

function find(status: Status, pool: string, id: string): Seen | "back" | "gone" {
  const endpoint = status.pools.find(({ name }) => name === pool)?.endpoints.find((each) => each.id === id);
  if (endpoint !== undefined) {
    const { drain, inFlight, tunnels, oldest } = endpoint;
    return drain === null ? "back" : { drain, exchanges: Math.max(0, inFlight - tunnels), tunnels, oldest };
  }
  const leaving = status.leaving.find((each) => each.pool === pool && each.id === id);
  return leaving === undefined ? "gone" : { ...leaving, drain: leaving };
}

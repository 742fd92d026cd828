// Pools of which no endpoint is ready: what an operator is woken for. Told once when it begins and once when it ends, and
// not every second where it comes and goes.
import type { Clock } from "../base/clock.ts";
import type { Log } from "../observe/log.ts";
import type { PoolPlan } from "../pool/plan.ts";

/** As far as this file looks at an endpoint's state. */
interface Look {
  readonly state: "unknown" | "ready" | "unready" | "draining" | "disabled";
  readonly endpoint: { readonly weight: number; readonly backup: boolean };
}

/** After it was told, nothing more is told of a pool for this long, ms; the state itself is always in status and metrics. */
const quiet = 10_000;

interface Standing {
  readonly unready: boolean;
  readonly open: boolean;
  /** What was told last, and when. */
  readonly told: boolean;
  readonly toldAt: number;
  /** Times that it began and was not told. */
  readonly hushed: number;
}

const calm: Standing = { unready: false, open: false, told: false, toldAt: Number.NEGATIVE_INFINITY, hushed: 0 };

export class FailOpenWatch {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #standings = new Map<string, Standing>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Whether requests to a pool go to endpoints that nobody knows to be ready. */
  failsOpen(pool: string): boolean {
    return this.#standings.get(pool)?.open === true;
  }

  keepOnly(pools: readonly PoolPlan[]): void {
    for (const name of this.#standings.keys()) {
      if (!pools.some((pool) => pool.name === name && pool.readiness !== null)) this.#standings.delete(name);
    }
  }

  /** Looks at a pool after each change of one of its endpoints. */
  look(pool: PoolPlan, endpoints: readonly Look[]): void {
    const ready = endpoints.some(({ state }) => state === "ready");
    const judged = endpoints.every(({ state }) => state !== "unknown");
    // What somebody has taken out stays out, and weight 0 gets nothing: workers do the same (pool/rotation.ts).
    const asked = endpoints.filter(
      ({ state, endpoint }) => (state === "unready" || state === "unknown") && endpoint.weight > 0,
    );
    const before = this.#standings.get(pool.name) ?? calm;
    // Until all were judged, nobody being ready is how every start looks.
    const unready = ready ? false : judged || before.unready;
    const open = unready && pool.failOpen && asked.length > 0;
    const primaries = asked.filter(({ endpoint }) => !endpoint.backup).length;
    const count = primaries > 0 ? primaries : asked.length;
    this.#standings.set(pool.name, this.#tell(pool, { ...before, unready, open }, before, count));
  }

  #tell(pool: PoolPlan, now: Standing, before: Standing, asked: number): Standing {
    const begins = now.unready && !before.unready;
    const at = this.#clock.wall();
    // The end of what was told is always told: nobody must be left believing that it lasts.
    if (!now.unready) {
      if (!now.told) return now;
      this.#log.event("info", "pool.ready", `pool ${pool.name} has a ready endpoint again`, { pool: pool.name });
      return { ...now, told: false };
    }
    if (now.told) return now;
    if (at - now.toldAt < quiet) return begins ? { ...now, hushed: now.hushed + 1 } : now;
    const then = now.open
      ? `requests go to ${asked} that ${asked === 1 ? "is" : "are"} not known to be ready rather than to nobody (fail open)`
      : pool.failOpen
        ? "those that there are were taken out, so requests are answered with 503"
        : "requests are answered with 503";
    const times = now.hushed === 0 ? "" : `; it came and went ${now.hushed} times since it was last told`;
    this.#log.event("error", "pool.unready", `no endpoint of pool ${pool.name} is ready; ${then}${times}`, {
      pool: pool.name,
      failOpen: now.open,
    });
    return { ...now, told: true, toldAt: at, hushed: 0 };
  }
}

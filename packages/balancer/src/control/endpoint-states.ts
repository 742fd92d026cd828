// What state every endpoint is in and why: what its probes say, and above that what an operator said. The supervisor alone
// writes states to the shared table; every worker reads them there before it picks.
import type { Clock } from "../base/clock.ts";
import { formatDuration } from "../base/units.ts";
import type { Log, LogLevel } from "../observe/log.ts";
import { EndpointState, StateCell, type SharedTable } from "../observe/table.ts";
import type { EndpointPlan, PoolPlan } from "../pool/plan.ts";
import type { Verdict } from "../pool/probe/threshold.ts";
import { comesIn } from "../pool/slow-start.ts";
import { FailOpenWatch } from "./fail-open.ts";
import { endpointKey } from "./slots.ts";

export type { Verdict } from "../pool/probe/threshold.ts";
/** What an operator may ask for; "ready" leaves it to the probes again. */
export type AskedState = "ready" | "draining" | "disabled";
/** What workers see. */
export type SeenState = Verdict | "draining" | "disabled";

/** One endpoint's state, for status and events. */
export interface StateEntry {
  readonly pool: PoolPlan;
  readonly endpoint: EndpointPlan;
  readonly verdict: Verdict;
  readonly asked: AskedState;
  readonly state: SeenState;
  /** Why it is in this state: a sentence. */
  readonly reason: string;
  /** Why its probes say what they say. */
  readonly probed: string;
  /** Wall-clock ms of the last change of `state`. */
  readonly since: number;
}

/** Whoever carries a drain through (drains.ts). */
export interface DrainKeeper {
  /** Returns the window in ms; null asks for the pool's. */
  begin(pool: PoolPlan, endpoint: EndpointPlan, window: number | null): number;
  end(pool: PoolPlan, endpoint: EndpointPlan): void;
  leave(pool: PoolPlan, endpoint: EndpointPlan): void;
}

/** All endpoints of the running plan. */
export class EndpointStates {
  readonly #drains: DrainKeeper;
  /** Gone with the last plan; workers may still use them until they have taken it over. */
  #gone: StateEntry[] = [];
  readonly #table: SharedTable;
  readonly #clock: Clock;
  readonly #log: Log;
  #entries = new Map<string, StateEntry>();
  readonly #failOpen: FailOpenWatch;
  /** Keys of a pool's endpoints. Made anew for each change of one of a thousand, they took 1.5 ms; without, it is 70 us. */
  readonly #keys = new WeakMap<PoolPlan, readonly string[]>();
  /** What was there when the balancer started and has not been judged since: its first pass is no return. Null before that. */
  #fromStart: Set<string> | null = null;
  /** What the program that this one takes over from knew; and ms that are left of its drains. */
  #inherited: ReadonlyMap<string, StateEntry> = new Map();
  #windows: ReadonlyMap<string, number> = new Map();

  constructor(table: SharedTable, clock: Clock, log: Log, drains: DrainKeeper = noDrains) {
    this.#drains = drains;
    this.#table = table;
    this.#clock = clock;
    this.#log = log;
    this.#failOpen = new FailOpenWatch(clock, log);
  }

  /** The first plan's endpoints begin like this, rather than as unknown. By `endpointKey`. */
  inherit(entries: ReadonlyMap<string, StateEntry>, windows: ReadonlyMap<string, number>): void {
    [this.#inherited, this.#windows] = [entries, windows];
  }

  /** The entry of an endpoint, or undefined when the running plan has none of that name. */
  find(pool: string, id: string): StateEntry | undefined {
    for (const entry of this.#entries.values()) {
      if (entry.pool.name === pool && entry.endpoint.id === id) return entry;
    }
    return undefined;
  }

  of(pool: string, endpoint: EndpointPlan): StateEntry | undefined {
    return this.#entries.get(endpointKey(pool, endpoint));
  }

  /** Takes on the pools of a new plan, slots given out. What stays keeps its state; what is new begins as unknown. */
  apply(pools: readonly PoolPlan[]): void {
    const next = new Map<string, StateEntry>();
    for (const pool of pools) {
      for (const endpoint of pool.endpoints) {
        const key = endpointKey(pool.name, endpoint);
        const old = this.#entries.get(key) ?? (this.#fromStart === null ? this.#inherited.get(key) : undefined);
        const entry = this.#carry(old, pool, endpoint);
        next.set(key, entry);
        // New, or no longer what its old probes said.
        if (entry.state !== "draining") this.#drains.end(pool, endpoint);
        else if (this.#fromStart === null) this.#drains.begin(pool, endpoint, this.#windows.get(key) ?? null);
        // Without a probe it gets work from now on.
        const late = this.#fromStart !== null || this.#inherited.size > 0;
        if (old === undefined && pool.readiness === null && late) this.#warm(entry);
        this.#store(entry);
      }
    }
    for (const [key, entry] of this.#entries) if (!next.has(key)) this.#gone.push(entry);
    this.#entries = next;
    // Of a program that took over, only what was there and had not been judged: the others it knows, or they are new.
    this.#fromStart ??= new Set(this.#inherited.size === 0 ? next.keys() : this.#inherited.keys());
    this.#failOpen.keepOnly(pools);
    for (const pool of pools) this.#judgePool(pool);
  }

  /** Every worker has taken the plan of the last `apply` over: what it left out is drained. */
  letGo(): void {
    for (const { pool, endpoint } of this.#gone.splice(0)) {
      if (this.of(pool.name, endpoint) === undefined) this.#drains.leave(pool, endpoint);
    }
  }

  /** Tells what the probes of an endpoint say now. `reason` is a sentence: what was seen, how many in a row. */
  judge(pool: string, endpoint: EndpointPlan, verdict: Verdict, reason: string): void {
    const entry = this.of(pool, endpoint);
    if (entry === undefined) return;
    const asked = entry.asked === "ready";
    if (entry.verdict === verdict) {
      // Nothing changed, but an operator who looks wants to know what the endpoint is waiting for.
      if (asked && verdict === "unknown")
        this.#entries.set(endpointKey(pool, endpoint), { ...entry, reason, probed: reason });
      return;
    }
    const level = verdict === "ready" ? "info" : "warn";
    if (asked) this.#tell(level, entry, verdict, reason);
    this.#change({ ...entry, verdict, probed: reason, reason: asked ? reason : entry.reason });
  }

  /**
   * Does what an operator asks. `window` is for draining: ms until what is left is cut, null for what the pool says; asked
   * again with a window, a drain gets that one from now on. Returns "" or a sentence that says what is wrong.
   */
  ask(pool: string, id: string, asked: AskedState, reason: string, window: number | null = null): string {
    const entry = this.find(pool, id);
    if (entry === undefined) return this.#unknown(pool, id);
    if (entry.asked === asked && (asked !== "draining" || window === null)) return "";
    const state = seen(entry.verdict, asked);
    // Before the state is stored: whoever sees that it drains must find out until when.
    const given = state === "draining" ? this.#drains.begin(entry.pool, entry.endpoint, window) : 0;
    const clock = state === "draining" ? `; what is in flight has ${formatDuration(given)}` : "";
    this.#tell("info", entry, state, reason + clock);
    // Given back to its probes, it is as they say, and not because somebody asked.
    this.#change({ ...entry, asked, reason: asked === "ready" ? entry.probed : reason });
    return "";
  }

  #tell(level: LogLevel, { pool, endpoint: { id } }: StateEntry, state: SeenState, reason: string): void {
    const text = `${pool.name}/${id} is ${state}: ${reason}`;
    this.#log.event(level, `endpoint.${state}`, text, { pool: pool.name, endpoint: id });
  }

  #unknown(pool: string, id: string): string {
    const ids = [...this.#entries.values()].flatMap((entry) => (entry.pool.name === pool ? [entry.endpoint.id] : []));
    if (ids.length > 0) return `pool ${pool} has no endpoint ${id}; it has ${ids.join(", ")}`;
    const names = new Set([...this.#entries.values()].map((entry) => entry.pool.name));
    return `there is no endpoint in a pool called ${pool}; pools with endpoints are ${[...names].join(", ") || "none"}`;
  }

  #carry(old: StateEntry | undefined, pool: PoolPlan, endpoint: EndpointPlan): StateEntry {
    const fresh = pool.readiness === null ? "not probed" : "not probed yet";
    if (old === undefined) {
      const since = this.#clock.wall();
      return {
        pool,
        endpoint,
        verdict: "unknown",
        asked: "ready",
        state: "unknown",
        reason: fresh,
        probed: fresh,
        since,
      };
    }
    const kept = { ...old, pool, endpoint };
    // What the old probes said means nothing once there are none.
    if (pool.readiness === null)
      return withState({ ...kept, verdict: "unknown", reason: reasonOf(old, fresh) }, this.#clock);
    // It had traffic without being probed. It keeps it until a probe says otherwise: else a reload that adds a probe
    // would take the whole pool out of rotation for a moment.
    if (old.pool.readiness === null) {
      return withState(
        { ...kept, verdict: "ready", reason: reasonOf(old, "taken for ready until its first probe") },
        this.#clock,
      );
    }
    return kept;
  }

  #change(entry: StateEntry): void {
    this.#settle(withState(entry, this.#clock));
    this.#judgePool(entry.pool);
  }

  /** Puts an entry in place of the last one, with all that follows for this endpoint. */
  #settle(next: StateEntry): void {
    const key = endpointKey(next.pool.name, next.endpoint);
    const before = this.#entries.get(key)?.state ?? "unknown";
    const first = this.#fromStart?.delete(key) === true && before === "unknown";
    const probed = next.pool.readiness !== null;
    if (!first && comesIn(EndpointState[before], EndpointState[next.state], probed)) this.#warm(next);
    if (before === "draining" && next.state !== "draining") this.#drains.end(next.pool, next.endpoint);
    // Whatever makes it drain, it is the same drain; an operator's has begun already, with a window of its own.
    if (before !== "draining" && next.state === "draining" && next.asked !== "draining")
      this.#drains.begin(next.pool, next.endpoint, null);
    this.#entries.set(key, next);
    this.#store(next);
  }

  /** Before the state is stored: no worker may ever see the one without the other. */
  #warm(entry: StateEntry): void {
    this.#table.cells[this.#table.state(entry.endpoint.slot) + StateCell.warmFrom] = this.#clock.wall();
  }

  #store(entry: StateEntry): void {
    const at = this.#table.state(entry.endpoint.slot);
    this.#table.cells[at + StateCell.state] = EndpointState[entry.state];
    this.#table.cells[at + StateCell.since] = entry.since;
  }

  /** Whether requests to a pool go to endpoints that nobody knows to be ready. */
  failsOpen(pool: string): boolean {
    return this.#failOpen.failsOpen(pool);
  }

  /** Tells what was held back because it came and went; to be called every now and then. */
  remind(): void {
    for (const pool of new Set([...this.#entries.values()].map((entry) => entry.pool))) this.#judgePool(pool);
  }

  /**
   * Where nobody is ready and the pool fails open, those that asked for a drain are asked all the same: they said "rather
   * not", not "never", and an application whose whole fleet says so at once has lost something that it shares.
   */
  #judgePool(pool: PoolPlan): void {
    if (pool.readiness === null || pool.endpoints.length === 0) return;
    let entries = this.#entriesOf(pool);
    const open = pool.failOpen && entries.every((entry) => entry.state !== "ready");
    for (const entry of entries) {
      if (entry.verdict !== "draining" || entry.asked !== "ready") continue;
      const state = open ? "unready" : "draining";
      if (entry.state === state) continue;
      const reason = open ? `asked to be drained, but nobody else is ready; ${entry.probed}` : entry.probed;
      this.#tell("warn", entry, state, reason);
      this.#settle({ ...entry, state, reason, since: this.#clock.wall() });
      entries = [];
    }
    this.#failOpen.look(pool, entries.length > 0 ? entries : this.#entriesOf(pool));
  }

  #entriesOf(pool: PoolPlan): StateEntry[] {
    let keys = this.#keys.get(pool);
    if (keys === undefined) this.#keys.set(pool, (keys = pool.endpoints.map((one) => endpointKey(pool.name, one))));
    return keys.flatMap((key) => this.#entries.get(key) ?? []);
  }
}

const noDrains: DrainKeeper = { begin: (_, __, window) => window ?? 0, end: () => {}, leave: () => {} };

function seen(verdict: Verdict, asked: AskedState): SeenState {
  return asked === "ready" ? verdict : asked;
}

function reasonOf(old: StateEntry, fresh: string): string {
  return old.asked === "ready" ? fresh : old.reason;
}

function withState(entry: StateEntry, clock: Clock): StateEntry {
  const state = seen(entry.verdict, entry.asked);
  return state === entry.state ? entry : { ...entry, state, since: clock.wall() };
}

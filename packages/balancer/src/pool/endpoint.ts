// One instance of the application as one worker sees it: its live counters in the shared table, its idle connections, what
// was learned of it. It survives reloads while its pool, id, address and slot stay the same.
import type { Clock } from "../base/clock.ts";
import type { FaultCode } from "../base/fault.ts";
import type { ClientTls } from "../net/tls.ts";
import type { Address } from "../net/transport.ts";
import { EndpointCell, EndpointState, StateCell, type SharedTable } from "../observe/table.ts";
import type { Random } from "../base/random.ts";
import { EndpointDrain } from "./drain.ts";
import { endpointTls } from "./endpoint-tls.ts";
import { IdleConnections } from "./idle.ts";
import { KeepAliveAge } from "./keep-alive-age.ts";
import { type Occupant, Occupants } from "./occupants.ts";
import { troubleOf } from "./outlier/trouble.ts";
import type { EndpointPlan, PoolPlan } from "./plan.ts";
import { shareAt } from "./slow-start.ts";

/** In-flight exchanges of a pool: this worker's own, live, and the other workers' as of the last tick. */
export interface PoolLoad {
  own: number;
  others: number;
}

/** What an endpoint may ask of the pool it is in. */
export interface EndpointHome {
  /** Whether some other endpoint of the pool could take work now. */
  othersUsable(endpoint: Endpoint, wallNow: number): boolean;
}

/** What an endpoint needs of the worker it lives in. */
export interface EndpointContext {
  readonly table: SharedTable;
  readonly row: number;
  readonly clock: Clock;
}

/** Connect failures in a row, other than refusals, that put an endpoint out. */
const failuresToEject = 3;
/** First and longest time out, ms; each further ejection without a success in between doubles it. */
const firstEjection = 1_000;
const longestEjection = 30_000;
/** Time out, ms, from which it comes back with a small share. */
const coldAfter = 4_000;
/** Time constant of the latency average, ms. Finagle and Linkerd ship 10 s. */
const ewmaTau = 10_000;
/** What one exchange can count for in the average, ms: so that no endpoint is out of sight for ever. */
const ewmaCeiling = 60_000;
/** What is faster than this, ms, counts as this: the clock of one worker is no finer, and nobody is slow at it. */
const leastLatency = 0.1;

export class Endpoint {
  readonly slot: number;
  readonly id: string;
  /** What sticky clients belong to. */
  readonly stableId: string;
  /** Name of its pool. */
  readonly pool: string;
  readonly address: Address;
  /** How connections to it speak TLS; undefined = not at all. Another object after a change: connections made by it are given up. */
  tls: ClientTls | undefined;
  #tlsKey: string;
  /** Weight as configured. */
  fullWeight: number;
  /** Its share of that while it warms up, 0.1 to 1. Set with each rotation. */
  share = 1;
  /** Both together: what algorithms go by. */
  weight: number;
  zone: string;
  backup: boolean;
  /** Most exchanges in flight over all workers; 0 = no limit. */
  maxInFlight: number;
  /** Whether the pool has a readiness probe: then an endpoint nobody has probed yet is not usable. */
  probed: boolean;
  readonly idle: IdleConnections;
  /** What this worker has under way here. */
  readonly occupants = new Occupants();
  /** How long its idle connections are safe to use again. */
  readonly keepAliveAge: KeepAliveAge;
  /** Put out by this worker since the rotation was built; the next rebuild sees it in the table. */
  ejected = false;
  /** Latency in ms that is assumed while this worker has measured none: its peers' mean, set by peakEwma. */
  prior = 1;
  readonly load: PoolLoad;
  /** The pool it was last committed in. */
  home: EndpointHome | null = null;
  readonly #drain = new EndpointDrain();
  #failures = 0;
  #ejections = 0;
  #ewmaAt = 0;
  readonly #clock: Clock;
  readonly #cells: Float64Array;
  /** First cell in row 0, and in this worker's row. */
  readonly #first: number;
  readonly #own: number;
  readonly #stride: number;
  readonly #end: number;
  readonly #state: number;

  constructor(pool: PoolPlan, plan: EndpointPlan, context: EndpointContext, load: PoolLoad) {
    const { table, row } = context;
    this.slot = plan.slot;
    this.id = plan.id;
    this.stableId = plan.stableId;
    this.pool = pool.name;
    this.address = plan.address;
    this.tls = endpointTls(pool, plan);
    this.#tlsKey = tlsKey(pool, plan);
    this.fullWeight = plan.weight;
    this.weight = plan.weight;
    this.zone = plan.zone;
    this.backup = plan.backup;
    this.maxInFlight = pool.limits.inFlight;
    this.probed = pool.readiness !== null;
    this.idle = new IdleConnections(pool.keepAlive.maxIdle);
    this.load = load;
    this.#clock = context.clock;
    this.#cells = table.cells;
    this.#first = table.endpoint(0, plan.slot);
    this.#own = table.endpoint(row, plan.slot);
    this.#stride = table.stride;
    this.#end = this.#first + table.shape.workers * table.stride;
    this.#state = table.state(plan.slot);
    // What was learned before this worker began stands in its row.
    this.keepAliveAge = new KeepAliveAge(table.cells[this.#own + EndpointCell.keepAlive]);
  }

  /** Takes over what a new snapshot says of it. Called at commit only: a refused snapshot must change nothing. */
  adopt(pool: PoolPlan, plan: EndpointPlan, home: EndpointHome): void {
    this.fullWeight = plan.weight;
    this.weight = plan.weight * this.share;
    this.zone = plan.zone;
    this.backup = plan.backup;
    this.maxInFlight = pool.limits.inFlight;
    this.probed = pool.readiness !== null;
    this.idle.maxIdle = pool.keepAlive.maxIdle;
    this.home = home;
    const key = tlsKey(pool, plan);
    if (key === this.#tlsKey) return;
    this.#tlsKey = key;
    this.tls = endpointTls(pool, plan);
    this.idle.clear();
  }

  /** Exchanges in flight over all workers. */
  inFlight(): number {
    const cells = this.#cells;
    const stride = this.#stride;
    let total = 0;
    for (let at = this.#first, end = this.#end; at < end; at += stride) total += cells[at]!;
    return total;
  }

  hasRoom(): boolean {
    return this.maxInFlight === 0 || this.inFlight() < this.maxInFlight;
  }

  /** An exchange (or tunnel) starts here. */
  begin(): void {
    this.#cells[this.#own]!++;
    this.load.own++;
  }

  /** It is over. One too many is ignored: a counter below zero would draw all traffic here for ever. */
  end(): void {
    if (this.#cells[this.#own]! <= 0) return;
    this.#cells[this.#own]!--;
    if (this.load.own > 0) this.load.own--;
  }

  /** Something of this worker's is under way here from now on; `occupants.leave` when it is over. */
  enter(one: Occupant, random: Random): void {
    this.occupants.enter(one);
    if (this.#drain.active) this.#drain.joined(one, this.#clock.wall(), random);
  }

  /** With every tick: begins, changes or ends a drain as the shared table says, and cuts at the end of its window. */
  reviewDrain(wallNow: number, random: Random): void {
    const cells = this.#cells;
    const from = cells[this.#state + StateCell.drainFrom]!;
    const until = cells[this.#state + StateCell.drainUntil]!;
    if (from === 0 && !this.#drain.active) return;
    const cut = this.#drain.review(from, until, wallNow, this.occupants, random);
    if (cut !== null) {
      this.count(EndpointCell.cutExchanges, cut.exchanges);
      this.count(EndpointCell.cutTunnels, cut.tunnels);
    }
    const oldest = from === 0 ? null : this.occupants.first;
    cells[this.#own + EndpointCell.oldest] = oldest === null ? 0 : wallNow - (this.#clock.now() - oldest.since);
  }

  /** Whether the window of its drain is not over: until then sticky clients are still welcome. 0 is no end at all. */
  drainWindowOpen(wallNow: number): boolean {
    const until = this.#cells[this.#state + StateCell.drainUntil]!;
    return until === 0 || until > wallNow;
  }

  /** Adds to one of this worker's cells (`EndpointCell`). */
  count(cell: number, n = 1): void {
    this.#cells[this.#own + cell]! += n;
  }

  /** Where one of this worker's cells lies in the table. */
  cell(cell: number): number {
    return this.#own + cell;
  }

  /** Called about once a second: gives up idle connections that are too old, and learns from the one that is watched. */
  tendIdle(now: number, planned: number): void {
    const { idle, keepAliveAge } = this;
    idle.watching = keepAliveAge.curious;
    const watched = idle.watchedFor(now);
    if (watched > 0) keepAliveAge.survived(watched, planned);
    idle.prune(now, this.idleLimit(planned));
    this.publishIdle();
  }

  /** Publishes how many idle connections this worker keeps, and what it learned of their age. */
  publishIdle(): void {
    this.#cells[this.#own + EndpointCell.idle] = this.idle.size;
    this.#cells[this.#own + EndpointCell.keepAlive] = Math.max(0, this.keepAliveAge.learned);
  }

  /** Age in ms from which an idle connection is no longer reused: what was learned, else the plan's. */
  idleLimit(planned: number): number {
    return this.keepAliveAge.limit(planned);
  }

  /**
   * Takes the latency of one finished exchange into the peak-sensitive average: a worse one counts at once and in full, a
   * better one wears it down with time. A failure never makes an endpoint look fast: it counts as twice what is usual here.
   */
  observe(latencyMs: number, failed: boolean): void {
    const now = this.#clock.now();
    const current = this.latency(now);
    if (!failed) this.#noteLatency(latencyMs);
    const sample = Math.min(failed ? Math.max(latencyMs, 2 * current) : latencyMs, ewmaCeiling);
    const at = this.#own + EndpointCell.ewma;
    if (this.#cells[at] === 0) {
      this.#cells[at] = Math.max(sample, 0.001);
    } else if (sample >= current) {
      this.#cells[at] = sample;
    } else {
      const keep = Math.exp((this.#ewmaAt - now) / ewmaTau);
      this.#cells[at] = Math.max(this.#cells[at]! * keep + sample * (1 - keep), 0.001);
    }
    this.#ewmaAt = now;
  }

  /**
   * A try failed here after it was connected. The keep-alive race is no fault of the endpoint: nothing is noted of what
   * ends a connection that had carried exchanges before.
   */
  tryFailed(code: FaultCode, reused: boolean): void {
    const cell = troubleOf(code, reused);
    if (cell >= 0) this.#cells[this.#own + cell]!++;
  }

  /** In logarithms, because latencies are told apart by factors: the mean of 1 ms and 10 s says nothing of either. */
  #noteLatency(ms: number): void {
    const log = Math.log(Math.max(ms, leastLatency));
    this.#cells[this.#own + EndpointCell.timed]!++;
    this.#cells[this.#own + EndpointCell.latencyLogs]! += log;
    this.#cells[this.#own + EndpointCell.latencyLogSquares]! += log * log;
  }

  /** Wall-clock ms at which its slow start began; 0 = it has been here from the start. */
  warmFrom(): number {
    return this.#cells[this.#state + StateCell.warmFrom]!;
  }

  /** Sets its share of its weight, as of `wallNow`. */
  warm(slowStart: number, wallNow: number): void {
    this.share = shareAt(this.warmFrom(), slowStart, wallNow);
    this.weight = this.fullWeight * this.share;
  }

  /**
   * The average as of `now`, ms. What was measured long ago fades towards what is usual in the pool, not towards zero:
   * an endpoint nobody has asked for a minute is unknown, not fast, and must not be flooded.
   */
  latency(now: number): number {
    const measured = this.#cells[this.#own + EndpointCell.ewma]!;
    if (measured === 0) return this.prior;
    return this.prior + (measured - this.prior) * Math.exp((this.#ewmaAt - now) / ewmaTau);
  }

  /** What this worker has measured, ms, without fading; 0 = nothing yet. */
  measured(): number {
    return this.#cells[this.#own + EndpointCell.ewma]!;
  }

  /** `EndpointState` as the supervisor last wrote it. */
  state(): number {
    return this.#cells[this.#state + StateCell.state]!;
  }

  /** The operator took it out (draining or disabled): that is a decision, which nothing overrides. */
  withdrawn(): boolean {
    return this.state() >= EndpointState.draining;
  }

  /** Ready as far as its probe tells; without a probe, ready until something says otherwise. */
  isReady(): boolean {
    const state = this.state();
    return state === EndpointState.ready || (state === EndpointState.unknown && !this.probed);
  }

  /** Kept out for now because connecting to it failed, in whichever worker, or because it did worse than its peers. */
  isEjected(wallNow: number): boolean {
    const { passiveUntil, ejectedUntil } = StateCell;
    return this.#cells[this.#state + passiveUntil]! > wallNow || this.#cells[this.#state + ejectedUntil]! > wallNow;
  }

  /** May take new work: ready, not draining or disabled, not kept out. Does not ask for room. */
  stateAllows(wallNow: number): boolean {
    return this.isReady() && !this.isEjected(wallNow);
  }

  /**
   * A connect failed, and is counted. Three in a row put the endpoint out for a second, then two, up to thirty, for all workers; a refusal
   * does so at once, because it says for certain that nobody listens (an app that restarts), the request is tried
   * elsewhere at no cost, and a second is soon over. Nothing is put out while no other endpoint of the pool is usable:
   * a doubtful endpoint is better than none.
   */
  connectFailed(wallNow: number, refused = false): void {
    this.#failures++;
    this.count(EndpointCell.connectFailures);
    if (refused) {
      this.count(EndpointCell.connectRefusals);
      this.keepAliveAge.refused(this.#clock.now());
    }
    if (!refused && this.#failures < failuresToEject && this.#ejections === 0) return;
    if (this.isEjected(wallNow)) return; // one outage is one ejection, however many connects were under way
    if (this.home === null || !this.home.othersUsable(this, wallNow)) return;
    const time = Math.min(firstEjection * 2 ** this.#ejections, longestEjection);
    this.#ejections++;
    // Back after this long it is another process, and cold.
    if (time >= coldAfter) this.#cells[this.#state + StateCell.warmFrom] = wallNow + time;
    this.#cells[this.#state + StateCell.passiveUntil] = wallNow + time;
    this.ejected = true;
  }

  /** A connect succeeded: forgets earlier failures and lets it back in at once. */
  connectSucceeded(): void {
    if (this.#failures === 0 && this.#ejections === 0) return;
    this.#failures = 0;
    this.#ejections = 0;
    this.ejected = false;
    const wallNow = this.#clock.wall();
    const warmFrom = this.#state + StateCell.warmFrom;
    if (this.#cells[warmFrom]! > wallNow && this.#cells[this.#state + StateCell.ejectedUntil]! <= wallNow) {
      this.#cells[warmFrom] = wallNow;
    }
    this.#cells[this.#state + StateCell.passiveUntil] = 0;
  }
}

/** All that a connection's encryption depends on. */
function tlsKey(pool: PoolPlan, plan: EndpointPlan): string {
  return pool.tls === null ? "" : JSON.stringify([pool.tls, plan.serverName]);
}

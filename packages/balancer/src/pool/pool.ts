// A pool as one worker runs it under one snapshot: who is in rotation, who waits, what may be retried. What outlives a
// reload (queue, budget, endpoints) is shared with the pool of the same name in the next snapshot; an exchange that still
// holds the old Pool is served by the new one from then on.
import type { Clock } from "../base/clock.ts";
import { mix } from "../base/hash.ts";
import type { Random } from "../base/random.ts";
import { latencyBuckets, PoolCell, type SharedTable } from "../observe/table.ts";
import { algorithms } from "./balance/table.ts";
import type { Surroundings } from "./balance/algorithm.ts";
import { RetryBudget } from "./budget.ts";
import { Endpoint, type EndpointHome, type PoolLoad } from "./endpoint.ts";
import type { PoolPlan } from "./plan.ts";
import { OwnQueues } from "./own-queues.ts";
import { WaitQueue, type Waiter } from "./queue.ts";
import { stepLength } from "./slow-start.ts";
import { buildRotation, emptyRotation, type Rotation } from "./rotation.ts";
import { whyNotKept } from "./stick/keep.ts";
import type { Stick, Visit } from "./stick/stick.ts";
import { sticks } from "./stick/table.ts";

export type { Waiter } from "./queue.ts";

/** What pools need of the worker they live in. */
export interface PoolContext {
  readonly table: SharedTable;
  /** This worker's row in it. */
  readonly row: number;
  readonly clock: Clock;
  /** Milliseconds since the Unix epoch. */
  wallNow(): number;
  readonly random: Random;
}

/** Why `pick` returned null: nobody may take work, or all that may are at their limit (or others wait before you). */
export type Refusal = "unusable" | "full";

/** Where a request has failed already: nowhere, at one endpoint, or at several. */
export type Avoided = Endpoint | readonly Endpoint[] | null;

function avoids(avoid: Avoided, endpoint: Endpoint): boolean {
  return avoid === endpoint || (avoid instanceof Array && avoid.includes(endpoint));
}

/** How often the algorithm is asked before everybody in rotation is. */
const draws = 3;
/** How often idle connections are looked through, ms. */
const pruneEvery = 1_000;
/** Period of the longest exchange, ms: what is told is of this one and the one before, so of half an hour at least. */
const longestPeriod = 1_800_000;

/** What passes from one snapshot's pool to the next one's of the same name. */
interface Life {
  current: Pool;
  readonly queue: WaitQueue;
  readonly ownQueues: OwnQueues;
  readonly budget: RetryBudget;
  readonly load: PoolLoad;
  /** Endpoints that left the configuration while something was under way there. */
  readonly leaving: Set<Endpoint>;
  /** When the longest exchange's period ends. */
  longestUntil: number;
}

export class Pool implements EndpointHome {
  readonly plan: PoolPlan;
  readonly name: string;
  readonly slot: number;
  readonly endpoints: readonly Endpoint[];
  /** Whether `pick` wants a hash of something of the request. */
  readonly needsKey: boolean;
  /** What finds out where clients belong; null: nowhere. */
  readonly stick: Stick | null;
  readonly #context: PoolContext;
  readonly #cells: Float64Array;
  /** First cell in row 0, and in this worker's row. */
  readonly #first: number;
  readonly #own: number;
  readonly #life: Life;
  readonly #surroundings: Surroundings;
  /** State and ejection of each endpoint when the rotation was built. */
  readonly #standing: Uint8Array;
  #rotation: Rotation = emptyRotation;
  /** Who takes new clients; kept only where clients belong somewhere. */
  #inRotation: ReadonlySet<Endpoint> = new Set();
  #refusal: Refusal = "unusable";
  #serving = false;
  /** It has left the configuration. */
  #retired = false;
  #pruneAt = 0;
  /** Wall-clock ms of the next step of the weights while somebody warms up. */
  #warmAt = Infinity;

  /** Made by `buildPools`. It serves nothing before `commit`, and making it changes nothing that lives. */
  constructor(plan: PoolPlan, previous: Pool | null, context: PoolContext, endpoints: (load: PoolLoad) => Endpoint[]) {
    this.plan = plan;
    this.name = plan.name;
    this.slot = plan.slot;
    this.#context = context;
    this.#cells = context.table.cells;
    this.#first = context.table.pool(0, plan.slot);
    this.#own = context.table.pool(context.row, plan.slot);
    this.#life =
      previous === null
        ? {
            current: this,
            queue: new WaitQueue(),
            ownQueues: new OwnQueues(),
            budget: new RetryBudget(),
            load: { own: 0, others: 0 },
            leaving: new Set(),
            longestUntil: context.clock.now() + longestPeriod,
          }
        : previous.#life;
    this.endpoints = endpoints(this.#life.load);
    this.needsKey = algorithms[plan.balance].needsKey;
    this.#surroundings = { clock: context.clock, load: this.#life.load, hashBalance: plan.hashBalance };
    this.#standing = new Uint8Array(this.endpoints.length);
    this.stick = plan.sticky === null ? null : this.#buildStick(plan.sticky);
  }

  /** Requests of this worker that wait here. */
  get waiting(): number {
    return this.#life.queue.length + this.#life.ownQueues.length;
  }

  /** Whether anything is still to be done here once it has left the configuration: until then it is ticked. */
  get unfinished(): boolean {
    return this.waiting > 0 || this.#life.leaving.size > 0;
  }

  /** Why the last `pick` returned null. */
  get refusal(): Refusal {
    return this.#life.current.#refusal;
  }

  /** Whether the last `pick` chose among endpoints that nobody knows to be ready. */
  get failedOpen(): boolean {
    return this.#life.current.#rotation.failOpen;
  }

  /** Who is in rotation now, for `explain` and tests. */
  get rotation(): Rotation {
    return this.#life.current.#rotation;
  }

  /**
   * An endpoint for one exchange, or null with `refusal` set. The caller calls `begin()` on it at once. `key` is an unsigned
   * 32-bit hash where `needsKey`, else anything; `avoid` has just failed: it is taken only if no other can be.
   * Newcomers get nothing while others wait: they have to queue behind them.
   */
  pick(key: number, avoid: Avoided): Endpoint | null {
    const pool = this.#life.current;
    if (pool.#rotation.usable.length > 0 && pool.#mustQueue()) {
      pool.#refusal = "full";
      return null;
    }
    const endpoint = pool.#choose(key, avoid);
    if (endpoint === null) {
      if (pool.#refusal === "unusable") pool.count(PoolCell.unusable);
    } else if (pool.#rotation.failOpen) {
      pool.count(PoolCell.failOpen);
    }
    return endpoint;
  }

  /**
   * The same for a client that may belong somewhere, as `stick` has read it: its own endpoint for as long as that may be
   * kept. A full one is waited for (`visit.waitsFor`, for `wait`): elsewhere the client would be a stranger.
   */
  pickSticky(visit: Visit, key: number, avoid: Avoided): Endpoint | null {
    const pool = this.#life.current;
    const own = visit.endpoint;
    visit.waitsFor = null;
    if (own === null || avoids(avoid, own) || !pool.#keeps(own)) return pool.pick(key, avoid);
    const inRotation = pool.#inRotation.has(own);
    if (!own.hasRoom() || pool.#life.ownQueues.first(own) !== null || (inRotation && pool.#mustQueue())) {
      visit.waitsFor = own;
      pool.#refusal = "full";
      return null;
    }
    if (inRotation && pool.#rotation.failOpen) pool.count(PoolCell.failOpen);
    return own;
  }

  /** Whether a request that its endpoint's drain has cut finds somebody here: the pool is configured, and not unusable. */
  get goesOn(): boolean {
    const pool = this.#life.current;
    return !pool.#retired && pool.#rotation.pick !== null;
  }

  /** Whether `endpoint` is in the pool as it is configured now. */
  has(endpoint: Endpoint): boolean {
    return endpoint.home === this.#life.current;
  }

  /** Whether a request of a client that belongs to `endpoint` would go there now, or wait for it. */
  keeps(endpoint: Endpoint): boolean {
    return this.#life.current.#keeps(endpoint);
  }

  /**
   * Queues a request, for any endpoint or for its own; false when it would be one too many, or queues are off. It then leaves
   * by itself or by `leave`.
   */
  wait(waiter: Waiter, own: Endpoint | null = null): boolean {
    const pool = this.#life.current;
    if (pool.#queuedEverywhere() >= pool.plan.limits.queue) {
      pool.count(PoolCell.queueOverflows);
      return false;
    }
    waiter.queuedAt = pool.#context.clock.now();
    if (own === null) pool.#life.queue.push(waiter);
    else pool.#life.ownQueues.push(own, waiter);
    pool.#publishQueued();
    return true;
  }

  /** Takes a request out of the queue (its client went away); no matter if it is no longer there. */
  leave(waiter: Waiter): void {
    const { queue, ownQueues, current } = this.#life;
    if (queue.remove(waiter) || ownQueues.remove(waiter)) current.#publishQueued();
  }

  /** Room may exist (an exchange ended here): serves those who wait. Cheap when nobody does. */
  wake(): void {
    if (this.#life.queue.head !== null || this.#life.ownQueues.length > 0) this.#life.current.#serve();
  }

  /** Called about every 25 ms: sees changed states and room freed by other workers, times waiters out, prunes. */
  tick(now: number, wallNow: number): void {
    const pool = this.#life.current;
    pool.#review(wallNow);
    pool.#reviewDrains(wallNow);
    pool.#noteTotals(now);
    pool.#turnLongest(now);
    if (now >= pool.#pruneAt) {
      pool.#pruneAt = now + pruneEvery;
      for (const endpoint of pool.endpoints) {
        endpoint.tendIdle(now, pool.plan.keepAlive.idle);
      }
    }
    pool.#expire(now);
    pool.wake();
  }

  /** Adds to one of this worker's cells (`PoolCell`). The pool itself counts queue, retry, unusable and failOpen cells. */
  count(cell: number, n = 1): void {
    this.#cells[this.#own + cell]! += n;
  }

  /** Counts one exchange's latency in the histogram, each in the one bucket it falls in. */
  observeLatency(ms: number): void {
    let bucket = 0;
    while (bucket < latencyBuckets.length && ms > latencyBuckets[bucket]!) bucket++;
    this.#cells[this.#own + PoolCell.latency + bucket]!++;
    this.#cells[this.#own + PoolCell.latencySum]! += ms;
  }

  /** Notes how long an exchange took that was answered in full and was no stream: what a drain has to wait for. */
  observeLongest(ms: number): void {
    const at = this.#own + PoolCell.longest;
    if (ms > this.#cells[at]!) this.#cells[at] = ms;
  }

  /** Whether one more try is within the budget; takes it from there if so. A route may have a share of its own. */
  retryAllowed(share = this.plan.retry.budget): boolean {
    const pool = this.#life.current;
    const retries = pool.#everywhere(PoolCell.retries);
    const allowed = pool.#life.budget.allows(share, pool.#everywhere(PoolCell.requests), retries);
    pool.count(allowed ? PoolCell.retries : PoolCell.retriesDenied);
    return allowed;
  }

  othersUsable(endpoint: Endpoint, wallNow: number): boolean {
    const pool = this.#life.current;
    const { failOpen } = pool.#rotation;
    for (const other of pool.endpoints) {
      if (other === endpoint || other.weight === 0) continue;
      // Failing open mistrusts probes, and not what connects meet: of those that are asked all the same, one may be out.
      if (failOpen ? !other.withdrawn() && !other.isEjected(wallNow) : other.stateAllows(wallNow)) return true;
    }
    return false;
  }

  /** Begins to serve in the place of the pool it was built from. See `commitPools`. */
  commit(): void {
    const previous = this.#life.current;
    this.#life.current = this;
    for (const [index, plan] of this.plan.endpoints.entries()) this.endpoints[index]!.adopt(this.plan, plan, this);
    if (previous !== this) {
      if (previous.slot !== this.slot) {
        previous.#cells[previous.#own + PoolCell.queued] = 0;
        previous.#cells[previous.#own + PoolCell.queuedOwn] = 0;
      }
      const kept = new Set(this.endpoints);
      for (const endpoint of previous.endpoints) if (!kept.has(endpoint)) this.#letGo(endpoint);
    }
    this.#publishQueued();
    this.#noteTotals(this.#context.clock.now());
    this.#rebuild(this.#context.wallNow());
    this.wake();
  }

  /** It is no longer in the configuration: in-flight exchanges and waiting requests finish, nothing is kept for later. */
  retire(): void {
    this.#retired = true;
    for (const endpoint of this.endpoints) this.#letGo(endpoint);
  }

  /** No new work, and its idle connections end; what is under way there is drained as the supervisor says. */
  #letGo(endpoint: Endpoint): void {
    endpoint.idle.retireAll();
    endpoint.publishIdle();
    if (endpoint.occupants.first !== null) this.#life.leaving.add(endpoint);
  }

  #reviewDrains(wallNow: number): void {
    const { random } = this.#context;
    for (const endpoint of this.endpoints) endpoint.reviewDrain(wallNow, random);
    for (const endpoint of this.#life.leaving) {
      endpoint.reviewDrain(wallNow, random);
      if (endpoint.occupants.first === null) this.#life.leaving.delete(endpoint);
    }
  }

  #turnLongest(now: number): void {
    const life = this.#life;
    if (now < life.longestUntil) return;
    life.longestUntil = now + longestPeriod;
    const at = this.#own + PoolCell.longest;
    this.#cells[this.#own + PoolCell.longestBefore] = this.#cells[at]!;
    this.#cells[at] = 0;
  }

  #everywhere(cell: number): number {
    return this.#context.table.sum(this.#first + cell);
  }

  #queuedEverywhere(): number {
    return this.#everywhere(PoolCell.queued);
  }

  #noteTotals(now: number): void {
    this.#life.budget.tick(now, this.#everywhere(PoolCell.requests), this.#everywhere(PoolCell.retries));
  }

  #publishQueued(): void {
    this.#cells[this.#own + PoolCell.queued] = this.waiting;
    this.#cells[this.#own + PoolCell.queuedOwn] = this.#life.ownQueues.length;
  }

  /**
   * Whether somebody waits, here or in another worker. Others' waiters count too, or a busy worker's newcomers would take
   * each freed place before a quiet worker's tick sees it. A full queue that is not ours does not count: it may have been
   * left behind by a worker that was killed, and must not refuse what there is room for.
   */
  #mustQueue(): boolean {
    if (this.#life.queue.head !== null) return true;
    const { inFlight, queue } = this.plan.limits;
    if (inFlight === 0 || queue === 0) return false;
    const queued = this.#queuedEverywhere();
    // Who waits for an endpoint of its own is in nobody's way.
    return queued > 0 && queued < queue && queued > this.#everywhere(PoolCell.queuedOwn);
  }

  #buildStick(plan: NonNullable<PoolPlan["sticky"]>): Stick {
    return sticks[plan.by].build(plan, {
      table: this.#context.table,
      slot: this.slot,
      endpoints: this.endpoints,
      weights: this.plan.endpoints.map(({ weight }) => weight),
      inRotation: (endpoint) => this.#life.current.#inRotation.has(endpoint),
    });
  }

  #keeps(endpoint: Endpoint): boolean {
    const { sticky } = this.plan;
    // What another snapshot's stick has read may have left the pool since.
    if (sticky === null || endpoint.home !== this) return false;
    return whyNotKept(endpoint, sticky, this.#inRotation, this.#context.wallNow()) === "";
  }

  #choose(key: number, avoid: Avoided): Endpoint | null {
    let endpoint = this.#chooseOnce(key, avoid);
    if (endpoint === null && this.#refusal === "full" && this.#rotation.usable.some((one) => one.ejected)) {
      this.#rebuild(this.#context.wallNow());
      endpoint = this.#chooseOnce(key, avoid);
    }
    return endpoint;
  }

  #chooseOnce(key: number, avoid: Avoided): Endpoint | null {
    const { usable, spill, pick } = this.#rotation;
    if (pick === null) {
      this.#refusal = "unusable";
      return null;
    }
    // Another key for another draw: the consistent ones would only repeat themselves.
    for (let draw = 0; draw < draws; draw++) {
      const endpoint = pick(draw === 0 ? key : mix(key + draw));
      if ((avoid === null || !avoids(avoid, endpoint)) && !endpoint.ejected && endpoint.hasRoom()) return endpoint;
    }
    const other = this.#scan(usable, avoid) ?? this.#scan(spill, avoid);
    if (other !== null) return other;
    for (const again of avoid === null ? [] : avoid instanceof Endpoint ? [avoid] : avoid) {
      if (!again.ejected && again.hasRoom() && (usable.includes(again) || spill.includes(again))) return again;
    }
    this.#refusal = "full";
    return null;
  }

  /** Anybody with room, from a random start so that the neighbours of a full one are not all sent to the same next. */
  #scan(endpoints: readonly Endpoint[], avoid: Avoided): Endpoint | null {
    const size = endpoints.length;
    if (size === 0) return null;
    const start = Math.floor(this.#context.random() * size);
    for (let i = 0; i < size; i++) {
      const endpoint = endpoints[(start + i) % size]!;
      if ((avoid === null || !avoids(avoid, endpoint)) && !endpoint.ejected && endpoint.hasRoom()) return endpoint;
    }
    return null;
  }

  #serve(): void {
    // A waiter that is served may end or fail at once and call wake again.
    if (this.#serving) return;
    this.#serving = true;
    const { queue, ownQueues } = this.#life;
    for (let waiter = queue.head; waiter !== null; waiter = queue.head) {
      const endpoint = this.#choose(waiter.key ?? 0, null);
      if (endpoint === null) break;
      // Room at an endpoint goes to whoever waited longest, for it or for any.
      const own = ownQueues.first(endpoint);
      if (own !== null && own.queuedAt <= waiter.queuedAt) waiter = own;
      this.leave(waiter);
      waiter.ready(endpoint);
    }
    if (ownQueues.length > 0) this.#serveOwn();
    this.#serving = false;
  }

  /** Those whose endpoint takes nobody else (it drains), has room again, or can no longer be kept. */
  #serveOwn(): void {
    this.#life.ownQueues.serve(
      (own, waiter) => (this.#keeps(own) ? (own.hasRoom() ? own : null) : this.#choose(waiter.key ?? 0, null)),
      (waiter, endpoint) => {
        this.#publishQueued();
        waiter.ready(endpoint);
      },
    );
  }

  #expire(now: number): void {
    const { queue, ownQueues } = this.#life;
    const before = now - this.plan.limits.queueTimeout;
    if (ownQueues.length > 0) ownQueues.expire(before, (waiter) => this.#giveUp(waiter));
    for (let waiter = queue.head; waiter !== null; waiter = queue.head) {
      if (waiter.queuedAt > before) return; // first in, first out: all behind it are younger
      queue.remove(waiter);
      this.#giveUp(waiter);
    }
  }

  #giveUp(waiter: Waiter): void {
    this.#publishQueued();
    this.count(PoolCell.queueTimeouts);
    waiter.timedOut();
  }

  /** Rebuilds the rotation if any endpoint's state or ejection is not what it was. */
  #review(wallNow: number): void {
    const { endpoints } = this;
    const standing = this.#standing;
    if (wallNow >= this.#warmAt) this.#rebuild(wallNow);
    for (let i = 0; i < endpoints.length; i++) {
      if (standing[i] !== standingOf(endpoints[i]!, wallNow)) {
        this.#rebuild(wallNow);
        break;
      }
    }
    // Only ringHash reads it, and only for the mean: a tick old is near enough.
    if (this.plan.balance === "ringHash" && this.plan.hashBalance > 0) {
      let total = 0;
      for (const endpoint of endpoints) total += endpoint.inFlight();
      this.#life.load.others = Math.max(0, total - this.#life.load.own);
    }
  }

  #rebuild(wallNow: number): void {
    for (const [index, endpoint] of this.endpoints.entries()) {
      this.#standing[index] = standingOf(endpoint, wallNow);
      endpoint.ejected = false;
      const withdrawn = endpoint.withdrawn();
      endpoint.idle.accepting = !withdrawn;
      // A draining application waits for its kept-alive connections; ours carry nothing.
      if (withdrawn) endpoint.idle.clear();
    }
    this.#rotation = buildRotation(this.plan, this.endpoints, wallNow, this.#context.random, this.#surroundings);
    if (this.stick !== null) this.#inRotation = new Set(this.#rotation.usable);
    this.#warmAt = this.#rotation.warming ? wallNow + stepLength(this.plan.slowStart) : Infinity;
  }
}

function standingOf(endpoint: Endpoint, wallNow: number): number {
  return endpoint.state() * 2 + (endpoint.isEjected(wallNow) ? 1 : 0);
}

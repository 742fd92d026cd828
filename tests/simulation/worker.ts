// One worker: a real pool, and requests that take their way through it.
import { EndpointCell, PoolCell } from "../../packages/balancer/src/observe/table.ts";
import { buildPools, commitPools, type PoolContext } from "../../packages/balancer/src/pool/assemble.ts";
import type { Endpoint } from "../../packages/balancer/src/pool/endpoint.ts";
import type { PoolPlan } from "../../packages/balancer/src/pool/plan.ts";
import type { Pool } from "../../packages/balancer/src/pool/pool.ts";
import { Exchange, type Home } from "./exchange.ts";
import type { Scene } from "./scene.ts";

export class Worker implements Home {
  readonly row: number;
  readonly scene: Scene;
  readonly running = new Set<Exchange>();
  /** Those that wait, in their order. */
  readonly waiting: Exchange[] = [];
  pool: Pool;
  alive = true;
  /** Who was allowed, ready, and withdrawn, when the rotation was last looked at. */
  #allowed: readonly Endpoint[] = [];
  #ready: readonly Endpoint[] = [];
  #withdrawn: readonly Endpoint[] = [];
  readonly #context: PoolContext;
  #stopTicking: () => void = () => {};

  constructor(scene: Scene, row: number, plan: PoolPlan) {
    this.scene = scene;
    this.row = row;
    const { agenda, table, random } = scene;
    const now = () => agenda.now;
    this.#context = { table, row, clock: { now, wall: now }, wallNow: now, random };
    const pools = buildPools([plan], null, this.#context);
    commitPools(pools, null);
    this.pool = pools.get(plan.name)!;
    scene.births.push(agenda.now);
    this.#look();
    this.tickEvery(25);
  }

  tickEvery(ms: number): void {
    const { agenda } = this.scene;
    this.#stopTicking();
    this.#stopTicking = agenda.every(ms, () => {
      this.pool.tick(agenda.now, agenda.now);
      this.#look();
    });
  }

  reload(plan: PoolPlan): void {
    if (!this.alive) return;
    const before = new Map([[this.pool.name, this.pool]]);
    const pools = buildPools([plan], before, this.#context);
    commitPools(pools, before);
    this.pool = pools.get(plan.name)!;
    this.#look();
  }

  /** Killed: what it had is gone, what it counted stays. */
  die(): void {
    this.alive = false;
    this.#stopTicking();
    this.running.clear();
    this.waiting.length = 0;
    this.scene.table.clearGauges(this.row);
  }

  request(fails: boolean): void {
    this.scene.requests.push(this.scene.agenda.now);
    this.pool.count(PoolCell.requests);
    new Exchange(this, Math.floor(this.scene.random() * 2 ** 32), fails).dispatch(null);
  }

  /** The pool's choice, judged. */
  pick(key: number, avoid: Endpoint | null): Endpoint | null {
    const { pool, scene } = this;
    let endpoint = pool.pick(key, avoid);
    if (scene.sabotage === "any endpoint" && scene.random() < 0.05) {
      endpoint = pool.endpoints[Math.floor(scene.random() * pool.endpoints.length)]!;
    }
    if (endpoint === null) this.#judgeRefusal();
    else this.#judge(endpoint, avoid);
    return endpoint;
  }

  #look(): void {
    const now = this.scene.agenda.now;
    const { endpoints } = this.pool;
    this.#allowed = endpoints.filter((one) => one.fullWeight > 0 && one.stateAllows(now));
    this.#ready = endpoints.filter((one) => one.isReady());
    this.#withdrawn = endpoints.filter((one) => one.withdrawn());
  }

  /** Allowed, and known to be. */
  #certain(): Endpoint[] {
    const now = this.scene.agenda.now;
    return this.#allowed.filter((one) => one.stateAllows(now));
  }

  #judge(endpoint: Endpoint, avoid: Endpoint | null): void {
    const { trace, agenda } = this.scene;
    const name = `worker ${this.row} picked ${endpoint.id}`;
    trace.must(this.pool.endpoints.includes(endpoint), () => `${name}, which is not in the pool`);
    trace.must(endpoint.fullWeight > 0, () => `${name}, which has no weight`);
    trace.must(endpoint.hasRoom(), () => `${name}, which is full`);
    trace.must(!(endpoint.withdrawn() && this.#withdrawn.includes(endpoint)), () => `${name}, which is withdrawn`);
    if (endpoint.stateAllows(agenda.now) || this.#allowed.includes(endpoint)) return;
    const better = this.#certain().find((one) => one !== avoid);
    trace.must(better === undefined, () => `${name}, which is out, although ${better?.id} is usable`);
    const ready = endpoint.isReady() || this.#ready.includes(endpoint);
    trace.must(ready || this.pool.plan.failOpen, () => `${name}, which is unready, and must not fail open`);
  }

  #judgeRefusal(): void {
    const { trace } = this.scene;
    const { refusal, plan } = this.pool;
    const certain = this.#certain();
    if (refusal === "unusable") {
      trace.must(certain.length === 0, () => `worker ${this.row} found nobody, although ${certain[0]?.id} is usable`);
    } else {
      trace.must(plan.limits.inFlight > 0, () => `worker ${this.row} found a pool without limits full`);
    }
  }

  /** One more retry, if the budget has room for it. */
  mayRetry(): boolean {
    const { scene, pool } = this;
    const allowed = pool.retryAllowed() || scene.sabotage === "no budget";
    if (allowed) this.#judgeRetry();
    return allowed;
  }

  /** The budget holds over nine seconds at least; a new worker does not know what was retried before its time. */
  #judgeRetry(): void {
    const { agenda, requests, retries, births, trace } = this.scene;
    retries.push(agenda.now);
    const within = (times: readonly number[], ms: number) => times.length - lowerBound(times, agenda.now - ms);
    const made = within(retries, 9_000);
    const most = Math.max(30, this.pool.plan.retry.budget * within(requests, 11_000)) * (1 + within(births, 11_000));
    trace.must(made <= most, () => `${made} retries in nine seconds, where ${most} are allowed`);
  }

  /** Counts that belong together. */
  verify(): void {
    const { table, trace } = this.scene;
    const counts = this.scene.sites.map(() => 0);
    for (const { endpoint } of this.running) if (endpoint !== null) counts[endpoint.slot]!++;
    for (let slot = 0; slot < this.scene.sites.length; slot++) {
      const cell = table.cells[table.endpoint(this.row, slot) + EndpointCell.inFlight]!;
      const real = counts[slot]!;
      trace.must(cell === real, () => `worker ${this.row} counts ${cell} in flight in slot ${slot}, and it is ${real}`);
    }
    trace.must(
      this.pool.waiting === this.waiting.length,
      () => `worker ${this.row} counts ${this.pool.waiting} waiting`,
    );
    for (const endpoint of this.pool.rotation.usable) this.#verifyWeight(endpoint);
  }

  #verifyWeight(endpoint: Endpoint): void {
    const { trace, sabotage } = this.scene;
    const { share, weight, fullWeight, id } = endpoint;
    const shown = sabotage === "heavy" ? share * 1.5 : share;
    const whole = this.pool.plan.slowStart === 0;
    trace.must(shown >= 0.1 && shown <= 1 && (!whole || shown === 1), () => `${id} has a share of ${shown}`);
    trace.must(weight === fullWeight * share, () => `${id} has the weight ${weight}`);
  }
}

/** Index of the first of ascending times that is later than `time`. */
function lowerBound(times: readonly number[], time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

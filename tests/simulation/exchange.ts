// One request: an endpoint, tries, perhaps a wait for room, perhaps a tunnel.
import { EndpointCell, StateCell } from "../../packages/balancer/src/observe/table.ts";
import type { Endpoint } from "../../packages/balancer/src/pool/endpoint.ts";
import type { IdleConnection } from "../../packages/balancer/src/pool/idle.ts";
import type { Occupant } from "../../packages/balancer/src/pool/occupants.ts";
import type { Pool } from "../../packages/balancer/src/pool/pool.ts";
import type { Waiter } from "../../packages/balancer/src/pool/queue.ts";
import type { Fate } from "./site.ts";
import type { Scene } from "./scene.ts";

/** The worker in which requests live. */
export interface Home {
  readonly scene: Scene;
  readonly pool: Pool;
  /** False once it was killed: nothing of it goes on. */
  readonly alive: boolean;
  readonly running: Set<Exchange>;
  /** Those that wait, in their order. */
  readonly waiting: Exchange[];
  /** The pool's choice, judged. */
  pick(key: number, avoid: Endpoint | null): Endpoint | null;
  mayRetry(): boolean;
}

/** How long news of a closed connection is on its way, ms. */
const delay = 40;

class Kept implements IdleConnection {
  idleSince = 0;
  exchanges = 1;
  retired = false;
  retire(): void {
    this.retired = true;
  }
}

export class Exchange implements Waiter, Occupant {
  // Waiter
  queuedAt = 0;
  next: Waiter | null = null;
  prev: Waiter | null = null;
  queue: Waiter["queue"] = null;
  readonly key: number;
  // Occupant
  nextThere: Occupant | null = null;
  previousThere: Occupant | null = null;
  tunnel = false;
  readonly patient = false;
  since = 0;

  endpoint: Endpoint | null = null;
  readonly #worker: Home;
  readonly #fails: boolean;
  #attempts = 0;
  #cancel: () => void = () => {};
  #closing: () => void = () => {};

  constructor(worker: Home, key: number, fails: boolean) {
    this.#worker = worker;
    this.key = key;
    this.#fails = fails;
  }

  dispatch(avoid: Endpoint | null): void {
    const worker = this.#worker;
    const endpoint = worker.pick(this.key, avoid);
    if (endpoint !== null) this.#send(endpoint);
    else if (worker.pool.refusal === "full" && worker.pool.wait(this)) worker.waiting.push(this);
  }

  ready(endpoint: Endpoint): void {
    this.#leaveQueue("was served");
    this.#send(endpoint);
  }

  timedOut(): void {
    this.#leaveQueue("timed out");
    const { agenda, trace } = this.#worker.scene;
    const waited = agenda.now - this.queuedAt;
    trace.must(waited >= 100, () => `a request was timed out after ${waited} ms of waiting`);
  }

  #leaveQueue(how: string): void {
    const { waiting, scene } = this.#worker;
    scene.trace.must(waiting[0] === this, () => `a request ${how} although others came before it`);
    waiting.shift();
  }

  #send(endpoint: Endpoint): void {
    const { scene, pool, running } = this.#worker;
    const { agenda, random, sites } = scene;
    this.endpoint = endpoint;
    endpoint.begin();
    this.since = agenda.now;
    running.add(this);
    endpoint.enter(this, random);
    endpoint.count(EndpointCell.requests);
    if (this.#attempts > 0) endpoint.count(EndpointCell.retries);
    this.#attempts++;
    const { idle } = pool.plan.keepAlive;
    const kept =
      this.#attempts === 1 ? (endpoint.idle.take(agenda.now, endpoint.idleLimit(idle)) as Kept | null) : null;
    if (kept === null) endpoint.count(EndpointCell.connects);
    else this.#judgeReuse(endpoint, kept);
    const fate = sites[endpoint.slot]!.meet(random, this.#fails, kept !== null, pool.plan.timeouts.connect);
    this.#later(fate.after, () => this.#ended(endpoint, fate, kept));
  }

  /** An endpoint that says how long it keeps connections is never sent anything on one that it closes. */
  #judgeReuse(endpoint: Endpoint, kept: Kept): void {
    const { agenda, trace, sites } = this.#worker.scene;
    const site = sites[endpoint.slot]!;
    const age = agenda.now - kept.idleSince;
    trace.must(!kept.retired, () => `a retired connection to ${endpoint.id} was used`);
    trace.must(
      !site.tellsKeepAlive || age < site.keepAlive - delay,
      () => `${endpoint.id} met the keep-alive race at ${age} ms`,
    );
  }

  #ended(endpoint: Endpoint, { end, after }: Fate, kept: Kept | null): void {
    const { agenda } = this.#worker.scene;
    if (end === "refused" || end === "unreachable") {
      endpoint.count(EndpointCell.connectFailures);
      endpoint.connectFailed(agenda.now, end === "refused");
      this.#failed(endpoint);
      return;
    }
    if (kept === null) endpoint.connectSucceeded();
    if (end === "reset") {
      endpoint.tryFailed("upstream-reset", kept !== null);
      this.#failed(endpoint);
      return;
    }
    const bad = end === "errors";
    endpoint.count(bad ? EndpointCell.answers5xx : EndpointCell.answers2xx);
    endpoint.observe(after, bad);
    if (!bad && this.#worker.scene.random() < 0.02) {
      this.#becomeTunnel(endpoint);
      return;
    }
    this.#keep(endpoint, kept ?? new Kept());
    this.#over(endpoint);
  }

  #failed(endpoint: Endpoint): void {
    const again = this.#attempts < this.#worker.pool.plan.retry.attempts && this.#worker.mayRetry();
    this.#release(endpoint);
    if (again) this.dispatch(endpoint);
    this.#worker.pool.wake();
  }

  #over(endpoint: Endpoint): void {
    this.#release(endpoint);
    this.#worker.pool.wake();
  }

  #release(endpoint: Endpoint): void {
    const { running, scene } = this.#worker;
    this.#cancel();
    this.#closing();
    if (this.tunnel) endpoint.count(EndpointCell.tunnels, -1);
    this.tunnel = false;
    endpoint.occupants.leave(this);
    running.delete(this);
    this.endpoint = null;
    if (scene.sabotage !== "no end" || scene.random() > 0.01) endpoint.end();
  }

  #keep(endpoint: Endpoint, kept: Kept): void {
    const { agenda, sites, sabotage } = this.#worker.scene;
    const site = sites[endpoint.slot]!;
    if (site.tellsKeepAlive && sabotage !== "deaf") endpoint.keepAliveAge.told(site.keepAlive / 1000);
    if (!endpoint.idle.put(kept, agenda.now)) return;
    const { idleSince } = kept;
    agenda.after(site.keepAlive + delay, () => {
      if (kept.retired || kept.idleSince !== idleSince || !this.#worker.alive) return;
      // Whether it rests or was taken in this moment: what it was is over.
      endpoint.idle.remove(kept);
      if (sabotage !== "deaf") endpoint.keepAliveAge.closed(agenda.now - idleSince, agenda.now);
    });
  }

  #becomeTunnel(endpoint: Endpoint): void {
    this.tunnel = true;
    endpoint.count(EndpointCell.tunnels);
    // As a worker's tunnel does: it enters anew, so that a drain under way gives it its moment.
    endpoint.occupants.leave(this);
    endpoint.enter(this, this.#worker.scene.random);
    this.#later(1_000 + this.#worker.scene.random() * 60_000, () => this.#over(endpoint));
  }

  closeAfter(ms: number): void {
    this.#closing();
    this.#closing = () => {};
    // Some peers do not hear that they should go: the end of the window is there for them.
    if (ms < 0 || !this.tunnel || this.#worker.scene.random() < 0.2) return;
    this.#closing = this.#worker.scene.agenda.after(ms, () => {
      const { endpoint } = this;
      if (endpoint !== null && this.#worker.alive) this.#over(endpoint);
    });
  }

  cut(): void {
    const endpoint = this.endpoint!;
    const { agenda, table, trace, sabotage } = this.#worker.scene;
    const until = table.cells[table.state(endpoint.slot) + StateCell.drainUntil]!;
    const now = sabotage === "early cut" ? agenda.now - 1_000 : agenda.now;
    trace.must(until > 0 && now >= until, () => `${endpoint.id}: cut ${until - now} ms before the end of its window`);
    this.#over(endpoint);
  }

  #later(ms: number, run: () => void): void {
    this.#cancel = this.#worker.scene.agenda.after(ms, () => {
      if (this.#worker.alive) run();
    });
  }
}

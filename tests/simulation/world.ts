// A whole balancer on virtual time: workers with their pools, a supervisor's states, drains and outliers, endpoints that fare
// as chance has it, an operator, reloads, killed workers. In the end everybody gets well, and all must be as before.
import type { Random } from "../../packages/balancer/src/base/random.ts";
import { Drains } from "../../packages/balancer/src/control/drains.ts";
import { EndpointStates } from "../../packages/balancer/src/control/endpoint-states.ts";
import { Outliers } from "../../packages/balancer/src/control/outliers.ts";
import { EndpointState, SharedTable, StateCell } from "../../packages/balancer/src/observe/table.ts";
import { seeded } from "../../packages/balancer/src/pool/fixtures.ts";
import { mostEjected } from "../../packages/balancer/src/pool/outlier/watch.ts";
import type { EndpointPlan, PoolPlan } from "../../packages/balancer/src/pool/plan.ts";
import { observe, unprobed, type Standing } from "../../packages/balancer/src/pool/probe/threshold.ts";
import { Agenda } from "./agenda.ts";
import { randomPlan, slots } from "./random-plan.ts";
import { Site } from "./site.ts";
import { Broken, Trace } from "./trace.ts";
import type { Sabotage, Scene } from "./scene.ts";
import { Worker } from "./worker.ts";

/** Ms of trouble, and of the time after it in which all get well: the longest ejection and the slowest start fit in. */
const troubled = 60_000;
const healing = 390_000;
/** Ms after the trouble from which a failing URL must not eject anybody. */
const settled = 90_000;

/** What came of a run. */
export interface Outcome {
  readonly seed: number;
  readonly requests: number;
  readonly ejections: number;
  /** What broke; "" if nothing did. */
  readonly broken: string;
  /** The last lines of what happened. */
  readonly trace: readonly string[];
}

/** One run. The same seed gives the same run, as long as the program is the same. */
export function simulate(seed: number, sabotage: Sabotage = ""): Outcome {
  const world = new World(seed, sabotage);
  let broken = "";
  try {
    world.run();
  } catch (error) {
    broken = error instanceof Broken ? error.message : ((error as Error).stack ?? String(error));
  }
  const { requests, trace } = world.scene;
  return { seed, requests: requests.length, ejections: world.ejections, broken, trace: trace.lines };
}

class World {
  readonly scene: Scene;
  ejections = 0;
  readonly #random: Random;
  readonly #agenda: Agenda;
  readonly #table: SharedTable;
  readonly #states: EndpointStates;
  readonly #outliers: Outliers;
  readonly #workers: Worker[];
  readonly #standings = new Map<number, Standing>();
  /** Share of requests that fail wherever they go. */
  readonly #failing: number;
  #plan: PoolPlan;
  #trouble = true;

  constructor(seed: number, sabotage: Sabotage) {
    const random = seeded(seed);
    this.#random = random;
    const agenda = new Agenda(1_000_000);
    this.#agenda = agenda;
    const count = 1 + Math.floor(random() * 4);
    const table = SharedTable.local({ workers: count, endpoints: slots, pools: 1, listeners: 1 });
    this.#table = table;
    const trace = new Trace(() => agenda.now - 1_000_000);
    const sites = Array.from({ length: slots }, () => new Site(random));
    this.scene = { agenda, random, table, trace, sites, sabotage, requests: [], retries: [], births: [] };
    this.#failing = random() < 0.5 ? 0 : random() * 0.5;
    this.#plan = randomPlan(random);
    const { balance, endpoints, outliers, slowStart } = this.#plan;
    trace.note(
      `${count} workers, ${endpoints.length} endpoints, ${balance}, ${Math.round(this.#failing * 100)} % fail anywhere, ` +
        `slow start ${slowStart} ms, outliers ${JSON.stringify(outliers)}`,
    );
    const clock = { now: () => agenda.now, wall: () => agenda.now };
    const log = {
      event: (_: unknown, name: string, text: string) => {
        if (name === "endpoint.ejected") this.#ejected(text);
        trace.note(text);
      },
    };
    const timers = { after: agenda.after, every: agenda.every };
    const drains = new Drains({ table, clock, timers, log, reviewed: () => agenda.now - 25 });
    this.#states = new EndpointStates(table, clock, log, drains);
    this.#states.apply([this.#plan]);
    this.#outliers = new Outliers({
      table,
      clock,
      timers: { ...timers, every: (ms, review) => agenda.every(ms, () => this.#review(review)) },
      log,
      pools: () => [this.#plan],
    });
    this.#workers = Array.from({ length: count }, (_, row) => new Worker(this.scene, row, this.#plan));
  }

  run(): void {
    const { trace } = this.scene;
    this.#outliers.start();
    for (let slot = 0; slot < slots; slot++) this.#agenda.after(this.#random() * 1_000, () => this.#probe(slot));
    this.#traffic();
    this.#agenda.after(500, () => this.#happen());
    this.#agenda.every(250, () => this.#verify());
    while (this.#agenda.next(1_000_000 + troubled));
    trace.note("everybody gets well");
    this.#heal();
    while (this.#agenda.next(1_000_000 + troubled + healing));
    this.#judgeEnd();
  }

  // What happens.

  #traffic(): void {
    const worker = this.#one(this.#workers);
    worker.request(this.#random() < this.#failing);
    const rate = this.#trouble ? 0.06 : 0.006;
    this.#agenda.after(-Math.log(1 - this.#random()) / rate, () => this.#traffic());
  }

  #probe(slot: number): void {
    const endpoint = this.#plan.endpoints.find((one) => one.slot === slot);
    const { readiness } = this.#plan;
    if (endpoint === undefined || readiness === null) this.#standings.delete(slot);
    else {
      const entry = this.#states.of(this.#plan.name, endpoint);
      const known = this.#standings.get(slot) ?? {
        ...unprobed(this.#agenda.now),
        verdict: entry?.verdict ?? "unknown",
      };
      const seen = this.scene.sites[slot]!.probed(this.#random);
      const { standing, change } = observe(known, seen, readiness, this.#agenda.now);
      this.#standings.set(slot, standing);
      if (change !== null) this.#states.judge(this.#plan.name, endpoint, change.to, change.reason);
    }
    this.#agenda.after((readiness?.interval ?? 1_000) * (0.9 + this.#random() * 0.2), () => this.#probe(slot));
  }

  #happen(): void {
    if (!this.#trouble) return;
    const dice = this.#random();
    if (dice < 0.6) this.#changeSite();
    else if (dice < 0.8) this.#operate();
    else if (dice < 0.92) this.#reload();
    else this.#kill();
    this.#agenda.after(this.#random() * 3_000, () => this.#happen());
  }

  #changeSite(): void {
    const { slot, id } = this.#one(this.#plan.endpoints);
    const site = this.scene.sites[slot]!;
    site.change(this.#random);
    this.scene.trace.note(`${id} is truly: ${site.manner}`);
  }

  #operate(): void {
    const { id } = this.#one(this.#plan.endpoints);
    const asked = this.#one(["ready", "ready", "draining", "disabled"] as const);
    this.#states.ask(this.#plan.name, id, asked, "asked by the operator");
  }

  #reload(): void {
    // Another budget would have to be judged by what was allowed under the last one.
    const { retry } = this.#plan;
    this.#plan = { ...randomPlan(this.#random), retry };
    const { balance, endpoints } = this.#plan;
    this.scene.trace.note(`reload: ${balance} over ${endpoints.map(({ id }) => id).join(", ")}`);
    this.#states.apply([this.#plan]);
    // Every watch begins anew, from what is thought of its endpoint now.
    this.#standings.clear();
    const plan = this.#plan;
    for (const worker of this.#workers) this.#agenda.after(this.#random() * 20, () => worker.reload(plan));
  }

  #kill(): void {
    const row = Math.floor(this.#random() * this.#workers.length);
    this.scene.trace.note(`worker ${row} is killed`);
    this.#workers[row]!.die();
    this.#workers[row] = new Worker(this.scene, row, this.#plan);
  }

  #heal(): void {
    this.#trouble = false;
    // There is a lot of time to pass and little to see in it.
    for (const worker of this.#workers) worker.tickEvery(250);
    for (const site of this.scene.sites) site.manner = "well";
    for (const { id } of this.#plan.endpoints) this.#states.ask(this.#plan.name, id, "ready", "all is well");
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }

  // What must hold.

  #verify(): void {
    for (const worker of this.#workers) worker.verify();
    this.#verifyDrains();
  }

  #verifyDrains(): void {
    const { cells } = this.#table;
    for (const worker of this.#workers) {
      for (const { slot, id, occupants } of worker.pool.endpoints) {
        const until = cells[this.#table.state(slot) + StateCell.drainUntil]!;
        if (until === 0 || this.#agenda.now < until + 100) continue;
        this.scene.trace.must(occupants.first === null, () => `${id}: something outlived its drain's window`);
      }
    }
  }

  #review(review: () => void): void {
    review();
    const { cells } = this.#table;
    const now = this.#agenda.now;
    const { outliers, endpoints } = this.#plan;
    if (this.scene.sabotage === "eject all") {
      for (const { slot } of endpoints) cells[this.#table.state(slot) + StateCell.ejectedUntil] = now + 10_000;
    }
    const isOut = ({ slot }: EndpointPlan) => cells[this.#table.state(slot) + StateCell.ejectedUntil]! > now;
    for (const backup of [false, true]) {
      const willing = endpoints.filter((one) => one.backup === backup && this.#isWilling(one));
      const out = willing.filter(isOut).length;
      const most = outliers === null ? 0 : mostEjected(willing.length, outliers.maxEjected);
      this.scene.trace.must(out <= most, () => `${out} of ${willing.length} are ejected, where ${most} may be`);
      this.scene.trace.must(out === 0 || out < willing.length, () => "the last one was ejected");
    }
  }

  #isWilling({ slot, weight }: EndpointPlan): boolean {
    const state = this.#table.cells[this.#table.state(slot) + StateCell.state];
    return (
      weight > 0 &&
      (state === EndpointState.ready || (state === EndpointState.unknown && this.#plan.readiness === null))
    );
  }

  #ejected(text: string): void {
    this.ejections++;
    const age = this.#agenda.now - 1_000_000 - troubled;
    this.scene.trace.must(age < settled, () => `all are well, and still ${text}`);
  }

  #judgeEnd(): void {
    const { trace } = this.scene;
    const now = this.#agenda.now;
    for (const { row, pool } of this.#workers) {
      for (const endpoint of pool.endpoints) {
        const state = endpoint.isReady() ? "ejected" : Object.keys(EndpointState)[endpoint.state()];
        trace.must(endpoint.stateAllows(now), () => `worker ${row}: all is well, and ${endpoint.id} is still ${state}`);
      }
      for (const { id, share } of pool.rotation.usable) {
        trace.must(share === 1, () => `worker ${row}: ${id} has a share of ${share} although all is well`);
      }
    }
  }
}

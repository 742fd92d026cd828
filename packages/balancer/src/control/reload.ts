// What runs, and the one path by which it changes: a file, a command, an answer of DNS and `up`'s instances all take it.
// Everything that can fail is tried first (slots, sockets, admin address, a snapshot in every worker); then nothing can
// fail any more, and the change is made everywhere. docs/life-of-a-reload.md tells it step by step.
import type { Clock } from "../base/clock.ts";
import type { Plan } from "../config/plan.ts";
import type { Log } from "../observe/log.ts";
import type { EndpointPlan } from "../pool/plan.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { AdminDoor } from "./admin-door.ts";
import { describeChanges } from "./changes.ts";
import { compose, namesOf, type Answers, type Issued } from "./compose.ts";
import type { EndpointStates } from "./endpoint-states.ts";
import { memoryAllowed } from "./memory.ts";
import type { SlotClaim, Slots } from "./slots.ts";
import type { ListeningSockets, SocketSet } from "./sockets.ts";
import type { Snapshot, Workers } from "./workers.ts";

/** What a change did. */
export type ChangeResult =
  | {
      readonly ok: true;
      readonly generation: number;
      /** One sentence each; empty when nothing changed. */
      readonly changes: readonly string[];
      /** What the new configuration says that only a restart can bring. */
      readonly notes: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Whatever probes a pool's endpoints. */
export interface Prober {
  apply(plan: EnginePlan): void;
  /** Resolves when every endpoint was probed once, or after `patience` ms. */
  firstRound(patience: number): Promise<void>;
}

/** Whatever resolves names. */
export interface Names {
  readonly answers: Answers;
  /** Resolves these from now on, no others; waits up to `patience` ms for the first answer of each. */
  watch(names: ReturnType<typeof namesOf>, patience: number): Promise<void>;
}

/** Whoever orders certificates. */
export interface Issuer extends Issued {
  /** Has something for every order of a plan that may run soon. */
  prepare(plan: Plan["acme"]): Promise<void>;
}

export interface RunningPlanNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly slots: Slots;
  readonly sockets: ListeningSockets;
  readonly states: EndpointStates;
  readonly prober: Prober;
  readonly names: Names;
  readonly issuer: Issuer;
  readonly workers: Workers;
  readonly admin: AdminDoor;
  /** Called with the first plan before any state is applied: what the program took over goes into it. */
  readonly adopt?: (engine: EnginePlan) => void;
}

/** Ms that names may take to resolve before a plan is applied without them. */
const namePatience = 5_000;
/** Ms that the first probes may take before traffic is accepted without their verdict. */
const probePatience = 1_000;

/** A change whose every part that can fail has been tried. */
interface Attempt {
  readonly claim: SlotClaim;
  readonly opened: readonly SocketSet[];
  readonly undo: () => Promise<void>;
  readonly done: () => void;
}

/** The plan that runs. */
export class RunningPlan {
  /** As configured. */
  plan: Plan;
  /** As the workers have it. */
  engine: EnginePlan = { listeners: [], pools: [] };
  generation = 0;
  /** What the program was started with: some of it is decided for good. */
  readonly #first: Plan;
  readonly #needs: RunningPlanNeeds;
  readonly #replacements = new Map<string, readonly EndpointPlan[]>();
  /** A generation's number is used once, also when it was refused: a late answer must not pass for another's. */
  #lastGeneration = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(plan: Plan, needs: RunningPlanNeeds) {
    this.plan = plan;
    this.#first = plan;
    this.#needs = needs;
  }

  /** Applies the first plan and starts the workers. "" or why it cannot be. Changes that are asked for meanwhile wait. */
  begin(): Promise<string> {
    const begun = this.#begin();
    this.#queue = begun.catch(() => {});
    return begun;
  }

  async #begin(): Promise<string> {
    const { names, issuer, states, prober, workers, clock } = this.#needs;
    await Promise.all([names.watch(namesOf(this.plan), namePatience), issuer.prepare(this.plan.acme)]);
    const attempt = this.#attempt(this.plan);
    if ("problem" in attempt) return attempt.problem;
    attempt.claim.commit(clock.now());
    this.engine = attempt.claim.plan;
    this.generation = ++this.#lastGeneration;
    this.#needs.adopt?.(this.engine);
    states.apply(this.engine.pools);
    prober.apply(this.engine);
    await prober.firstRound(probePatience);
    return workers.start(this.#snapshot(this.plan, this.engine, this.generation));
  }

  /** Applies another plan. Changes are made one after another, each on what those before it left. */
  change(load: () => Promise<Plan | { readonly problems: readonly string[] }>, why: string): Promise<ChangeResult> {
    return this.#enqueue(async () => {
      const plan = await load();
      if ("problems" in plan) return { ok: false, problems: plan.problems };
      const { names, issuer } = this.#needs;
      const watched = names.watch([...namesOf(this.plan), ...namesOf(plan)], namePatience);
      await Promise.all([watched, issuer.prepare(plan.acme)]);
      const result = await this.#apply(plan, why);
      void names.watch(namesOf(this.plan), 0);
      return result;
    });
  }

  /** Composes the plan again from the names' present answers. */
  refresh(why: string): Promise<ChangeResult> {
    return this.#enqueue(() => this.#apply(this.plan, why));
  }

  /** Replaces a pool's endpoints, over reloads too, until they are replaced again. */
  replaceEndpoints(pool: string, endpoints: readonly EndpointPlan[]): Promise<ChangeResult> {
    return this.#enqueue(async () => {
      if (!this.plan.pools.some((source) => source.pool.name === pool)) {
        return { ok: false, problems: [`there is no pool called ${pool}`] };
      }
      const before = this.#replacements.get(pool);
      this.#replacements.set(pool, endpoints);
      const result = await this.#apply(this.plan, `endpoints of pool ${pool}`);
      if (result.ok) return result;
      if (before === undefined) this.#replacements.delete(pool);
      else this.#replacements.set(pool, before);
      return result;
    });
  }

  /** Does something while no change is under way; those that are asked for meanwhile wait. False: the program stops. */
  alone(work: () => Promise<void>): Promise<boolean> {
    const done = this.#queue.then(async () => {
      if (this.#closed) return false;
      await work();
      return true;
    });
    this.#queue = done.catch(() => {});
    return done;
  }

  /** No change from here on. Resolves when the one under way is over. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue;
  }

  #enqueue(change: () => Promise<ChangeResult>): Promise<ChangeResult> {
    const result = this.#queue.then(() => {
      if (this.#closed) return { ok: false, problems: ["the program is stopping"] } as const;
      return change();
    });
    this.#queue = result.catch(() => {});
    return result;
  }

  async #apply(plan: Plan, why: string): Promise<ChangeResult> {
    const { workers, sockets, states, prober, clock, log } = this.#needs;
    const attempt = this.#attempt(plan);
    if ("problem" in attempt) return { ok: false, problems: [attempt.problem] };
    const next = attempt.claim.plan;
    const changes = [...describeChanges(this.engine, next), ...settingChanges(this.plan, plan)];
    const notes = restartNotes(this.#first, plan);
    if (changes.length === 0) {
      await attempt.undo();
      this.plan = plan;
      return { ok: true, generation: this.generation, changes, notes };
    }
    const snapshot = this.#snapshot(plan, next, ++this.#lastGeneration);
    const { problem, prepared } = await workers.prepare(snapshot);
    if (problem !== "") {
      await workers.discard(snapshot.generation, prepared);
      await attempt.undo();
      return { ok: false, problems: [problem] };
    }
    attempt.claim.commit(clock.now());
    this.plan = plan;
    this.engine = next;
    this.generation = snapshot.generation;
    states.apply(next.pools);
    prober.apply(next);
    // Before the workers close theirs: the last to hold a socket must be who accepts from it. Closed by somebody else, it
    // resets what came into its queue meanwhile.
    workers.announce(snapshot);
    sockets.keep(next.listeners);
    await workers.commit(snapshot, prepared);
    states.letGo();
    attempt.done();
    log.event("info", "config.applied", `${why}: ${summary(changes)}`, { generation: this.generation });
    for (const note of notes) log.event("warn", "config.restart-needed", note);
    return { ok: true, generation: this.generation, changes, notes };
  }

  /** Tries what can fail outside the workers. */
  #attempt(plan: Plan): Attempt | { readonly problem: string } {
    const { slots, sockets, admin, names, issuer, clock } = this.#needs;
    const claim = slots.claim(compose(plan, names.answers, this.#replacements, issuer), clock.now());
    if ("problem" in claim) return claim;
    const opening = sockets.open(claim.plan.listeners);
    if ("problem" in opening) return opening;
    const { opened } = opening;
    const door = admin.change(plan.admin);
    if ("problem" in door) {
      sockets.discard(opened);
      return door;
    }
    const undo = async () => {
      sockets.discard(opened);
      await door.undo();
    };
    return { claim, opened, undo, done: () => door.done() };
  }

  #snapshot(plan: Plan, engine: EnginePlan, generation: number): Snapshot {
    const sockets = this.#needs.sockets.of(engine.listeners);
    const memory = plan.memory === 0 ? memoryAllowed() : plan.memory;
    return { generation, plan: engine, sockets, log: plan.log, window: plan.shutdown.window, memory };
  }
}

function summary(changes: readonly string[]): string {
  const shown = changes.slice(0, 10).join("; ");
  return changes.length > 10 ? `${shown}; and ${changes.length - 10} more` : shown;
}

/** What changes beside listeners and pools. */
function settingChanges(from: Plan, to: Plan): string[] {
  const changes: string[] = [];
  if (JSON.stringify(from.log) !== JSON.stringify(to.log)) changes.push("log: settings changed");
  if (JSON.stringify(from.shutdown) !== JSON.stringify(to.shutdown)) changes.push("shutdown: settings changed");
  if (JSON.stringify(from.admin) !== JSON.stringify(to.admin)) changes.push("admin: address changed");
  if (from.memory !== to.memory) changes.push("memory: budget changed");
  return changes;
}

function restartNotes(first: Plan, to: Plan): string[] {
  const notes: string[] = [];
  if (first.workers !== to.workers)
    notes.push("workers: another number takes effect with `plimsoll upgrade`, or a restart");
  if (first.log.access === "none" && to.log.access !== "none") {
    notes.push(
      "log.access: an access log begins with `plimsoll upgrade`, or a restart, because it was started without one",
    );
  }
  return notes;
}

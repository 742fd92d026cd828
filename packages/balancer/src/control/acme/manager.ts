// Orders and renews: one certificate at a time, by one of all programs that share the folder. What it has is merged into what
// runs by compose.ts, so that a certificate and an answer for the authority reach the workers as everything else does.
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { AcmePlan } from "../../config/acme.ts";
import type { Timers } from "../../net/clock.ts";
import type { CommandOptions, CommandOutcome } from "../../net/run-command.ts";
import type { Log } from "../../observe/log.ts";
import type { CertificatePlan } from "../../pool/plan.ts";
import type { ProofPlan } from "../../proxy/proofs.ts";
import { makeLeaf } from "../certificate/make.ts";
import { FolderLock, lockTouch } from "./lock.ts";
import type { ObtainOptions, Solver } from "./obtain.ts";
import { OrderState, type OrderStatus } from "./order-state.ts";
import { retryTime } from "./schedule.ts";
import { hookSolver, HttpAnswers, type Publish, TlsProofs } from "./solvers.ts";
import { AcmeStorage, noTries, type StoredPair } from "./storage.ts";

export interface AcmeNeeds {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly publish: Publish;
  readonly runCommand: (options: CommandOptions, signal: AbortSignal) => Promise<CommandOutcome>;
  /** Text of a file; throws. */
  readonly readFile: (path: string) => string;
  /** The library behind it is large: it is loaded when the first certificate is ordered. */
  readonly obtaining: () => Promise<{
    obtain(options: ObtainOptions): Promise<StoredPair>;
    newAccountKey(): Promise<string>;
  }>;
  /** Tells this program's lock from all others. */
  readonly nonce: string;
  readonly version: string;
}

/** What ordering did since the start. */
export interface AcmeCounts {
  readonly issued: number;
  readonly failed: number;
}

/** Ms between two looks at the folder and the clock. */
const look = lockTouch;
/** The same while another program orders: one that is taken over from, or stops, lets go of the folder in a moment. */
const lookWaiting = 1_000;
/** Ms between two looks at what the authority is busy with. */
const poll = 1_000;
const day = 24 * 60 * 60 * 1000;
/** A stand-in that is looked at by a person should not seem to be the reason. */
const standInLife = 365 * day;
const late = 7 * day;

export class AcmeManager {
  readonly #needs: AcmeNeeds;
  readonly #answers: HttpAnswers;
  readonly #proofs: TlsProofs;
  readonly #states = new Map<string, OrderState>();
  readonly #locks = new Map<string, FolderLock>();
  readonly #abort = new AbortController();
  #plan: AcmePlan | null = null;
  #storage: AcmeStorage | null = null;
  #counts = { issued: 0, failed: 0 };
  #round: Promise<void> | null = null;
  #stopLooking: () => void = () => {};
  #stopWaiting: () => void = () => {};
  #waitsFor = "";

  constructor(needs: AcmeNeeds) {
    this.#needs = needs;
    this.#answers = new HttpAnswers(needs.publish);
    this.#proofs = new TlsProofs(needs.publish, () => needs.clock.wall());
  }

  get counts(): AcmeCounts {
    return this.#counts;
  }

  /** What the workers answer below /.well-known/acme-challenge/ now. */
  get challenges(): readonly (readonly [token: string, body: string])[] {
    return this.#answers.all;
  }

  /** What the workers show to an authority that looks by TLS. */
  get proofs(): readonly ProofPlan[] {
    return this.#proofs.all;
  }

  /** What a listener shows for what a plan orders, real or not yet; `prepare` has seen that plan. */
  certificatesFor(listener: string, plan: AcmePlan | null): readonly CertificatePlan[] {
    return (plan?.orders ?? []).flatMap(({ id, names, listeners }) => {
      const pair = this.#states.get(id)?.pair;
      if (pair === undefined || !listeners.includes(listener)) return [];
      const file = `acme ${id}`;
      return [{ ...pair, certFile: file, keyFile: file, names, kind: "ecdsa" }];
    });
  }

  status(): OrderStatus[] {
    const now = this.#needs.clock.wall();
    return this.#wanted().map((state) => state.status(now));
  }

  /** Has something to show for every order of a plan that may run soon: what is stored, or a self-signed one. Never rejects. */
  async prepare(plan: AcmePlan | null): Promise<void> {
    if (plan === null) return;
    const { clock, random } = this.#needs;
    const storage = new AcmeStorage(plan.storage, plan.directory);
    const now = clock.wall();
    const known = new Set([...plan.orders, ...(this.#plan?.orders ?? [])].map(({ id }) => id));
    for (const id of this.#states.keys()) if (!known.has(id)) this.#states.delete(id);
    for (const order of plan.orders) {
      if (this.#states.has(order.id)) continue;
      const dates = { notBefore: now - day, notAfter: now + standInLife };
      const state = new OrderState(order, await makeLeaf(order.names, dates));
      this.#quietly(() => {
        state.adopt(storage.pair(order.id), now, random);
        state.tries = storage.tries(order.id);
      });
      this.#states.set(order.id, state);
    }
  }

  /** From now on this is ordered and renewed, and nothing else. `prepare` has seen it. */
  apply(plan: AcmePlan | null): void {
    if (this.#plan !== null && JSON.stringify(plan) === JSON.stringify(this.#plan)) return;
    const storage = plan === null ? null : new AcmeStorage(plan.storage, plan.directory);
    // What another authority issued is shown until there is one of this one, and ordered anew: it may have been its staging.
    if (this.#plan !== null && storage?.folder !== this.#storage?.folder) {
      for (const state of this.#states.values()) state.orderAnew();
    }
    this.#plan = plan;
    this.#storage = storage;
    const orders = new Map(plan?.orders.map((order) => [order.id, order]));
    for (const [id, state] of this.#states) {
      const order = orders.get(id);
      if (order === undefined) this.#states.delete(id);
      else state.order = order;
    }
    this.#stopLooking();
    this.#stopWaiting();
    if (plan === null || this.#abort.signal.aborted) return;
    this.#stopLooking = this.#needs.timers.every(look, () => void this.look());
    // A round that is under way is the former plan's.
    const former = this.#round ?? Promise.resolve();
    void former.then(() => this.look());
  }

  /** Does what is due. Resolves when that is over; one round at a time. */
  look(): Promise<void> {
    this.#round ??= this.#look().finally(() => (this.#round = null));
    return this.#round;
  }

  /** Gives up what is under way. Resolves when its lock is released. */
  async close(): Promise<void> {
    this.#stopLooking();
    this.#stopWaiting();
    this.#abort.abort();
    await this.#round;
  }

  async #look(): Promise<void> {
    const plan = this.#plan;
    const storage = this.#storage;
    if (plan === null || storage === null) return;
    await this.#adopt(storage);
    if (this.#due().length === 0) return;
    const { log, nonce, clock, timers } = this.#needs;
    const lock = new FolderLock(storage.folder, nonce);
    let stopTouching: () => void = () => {};
    try {
      storage.open();
      if (!this.#lockFor(storage).take(clock.now())) {
        const holder = lock.holder();
        if (holder !== this.#waitsFor)
          log.event("info", "acme.waiting", `${holder} orders certificates; this one waits`);
        this.#waitsFor = holder;
        this.#stopWaiting();
        if (!this.#abort.signal.aborted) this.#stopWaiting = timers.after(lookWaiting, () => void this.look());
        return;
      }
      this.#waitsFor = "";
      stopTouching = timers.every(lockTouch, () => this.#quietly(() => this.#lockFor(storage).touch()));
      storage.sweep();
      // Whoever had the lock before may have done it.
      await this.#adopt(storage);
      for (const state of this.#due()) {
        if (this.#abort.signal.aborted || this.#plan !== plan) return;
        await this.#order(plan, storage, state);
      }
    } catch (error) {
      for (const state of this.#due()) this.#failed(state, `${storage.folder}: ${(error as Error).message}`, 0);
    } finally {
      stopTouching();
      this.#quietly(() => this.#lockFor(storage).release());
    }
  }

  /** One for each folder, kept: it remembers since when another one's claim has not changed. */
  #lockFor({ folder }: AcmeStorage): FolderLock {
    const lock = this.#locks.get(folder) ?? new FolderLock(folder, this.#needs.nonce);
    this.#locks.set(folder, lock);
    return lock;
  }

  #due(): OrderState[] {
    const now = this.#needs.clock.wall();
    return this.#wanted().filter((state) => state.isDue(now));
  }

  /** Of the plan that runs: one that was prepared may have been refused. */
  #wanted(): OrderState[] {
    return (this.#plan?.orders ?? []).flatMap(({ id }) => this.#states.get(id) ?? []);
  }

  /** Takes over what another program stored. */
  async #adopt(storage: AcmeStorage): Promise<void> {
    const { clock, random, log } = this.#needs;
    let adopted = "";
    for (const state of this.#wanted()) {
      this.#quietly(() => {
        if (!state.adopt(storage.pair(state.order.id), clock.wall(), random)) return;
        state.tries = noTries;
        adopted = state.order.names.join(", ");
        log.event("info", "acme.adopted", `the certificate for ${adopted} that another program stored is used`);
      });
      // Ours are kept where the folder cannot be written.
      this.#quietly(() => {
        const stored = storage.tries(state.order.id);
        if (stored.notBefore > state.tries.notBefore) state.tries = stored;
      });
    }
    if (adopted !== "") await this.#tellWorkers(`a certificate for ${adopted}`);
  }

  async #order(plan: AcmePlan, storage: AcmeStorage, state: OrderState): Promise<void> {
    const { clock, log, readFile, obtaining, random, version } = this.#needs;
    const names = state.order.names.join(", ");
    const what = state.facts === null ? "a certificate is ordered" : "the certificate is renewed";
    log.event("info", "acme.ordering", `${what} for ${names} from ${new URL(plan.directory).host}`);
    state.working = true;
    try {
      const { obtain, newAccountKey } = await obtaining();
      if (storage.accountKey() === "") storage.putAccountKey(await newAccountKey());
      const pair = await obtain({
        plan,
        names: state.order.names,
        accountKey: storage.accountKey(),
        reach: {
          ca: plan.ca === "" ? "" : readFile(plan.ca),
          userAgent: `plimsoll/${version}`,
          wall: () => clock.wall(),
        },
        solver: this.#solver(plan),
        poll,
        signal: this.#abort.signal,
      });
      storage.putPair(state.order.id, pair);
      // Another plan runs meanwhile, perhaps of another authority: its own round finds what is stored for it.
      if (this.#plan !== plan) return;
      state.tries = noTries;
      storage.putTries(state.order.id, noTries);
      state.adopt(pair, clock.wall(), random);
      this.#counts.issued++;
      const until = new Date(state.facts?.notAfter ?? 0).toISOString().slice(0, 10);
      log.event("info", "acme.issued", `the certificate for ${names} is there, valid until ${until}`, {
        id: state.order.id,
      });
      await this.#tellWorkers(`a certificate for ${names}`);
    } catch (error) {
      if (this.#abort.signal.aborted || this.#plan !== plan) return;
      const retryAfter = (error as { readonly retryAfter?: number }).retryAfter ?? 0;
      this.#failed(state, (error as Error).message, retryAfter);
      this.#quietly(() => storage.putTries(state.order.id, state.tries));
    } finally {
      state.working = false;
    }
  }

  #failed(state: OrderState, problem: string, retryAfter: number): void {
    const { clock, log, random } = this.#needs;
    const now = clock.wall();
    const failures = state.tries.failures + 1;
    state.tries = { failures, notBefore: retryTime(failures, retryAfter, now, random), problem };
    this.#counts.failed++;
    const left = (state.facts?.notAfter ?? 0) - now;
    const shown =
      state.facts === null
        ? "a self-signed one is shown"
        : `the present one is valid for ${Math.floor(left / day)} days`;
    log.event(
      left < late ? "error" : "warn",
      "acme.failed",
      `no certificate for ${state.order.names.join(", ")}: ${problem}; ${shown}; next try at ${new Date(state.tries.notBefore).toISOString()}`,
      { id: state.order.id, failures },
    );
  }

  async #tellWorkers(why: string): Promise<void> {
    const problem = await this.#needs.publish(why);
    if (problem !== "") this.#needs.log.event("error", "acme.refused", `${why} cannot be used: ${problem}`);
  }

  #solver(plan: AcmePlan): Solver {
    if (plan.challenge === "tls-alpn-01") return this.#proofs;
    if (plan.challenge === "http-01" || plan.hook === null) return this.#answers;
    const { runCommand, timers, log } = this.#needs;
    const complain = (problem: string): void => log.event("warn", "acme.record-left", problem);
    return hookSolver({ hook: plan.hook, runCommand, timers, complain, signal: this.#abort.signal });
  }

  /** What a folder that cannot be read hides is as if it were not there; writing to it will say so. */
  #quietly(look: () => void): void {
    try {
      look();
    } catch {
      // Said where it matters: when something is ordered.
    }
  }
}

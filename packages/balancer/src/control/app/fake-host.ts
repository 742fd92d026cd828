// A machine made of virtual time and scripted programs, for the tests of this folder only.
import type { AppEndpoint, EndpointsSink, Exit, Host, Knock, ProcessGroup, SpawnOptions } from "./host.ts";

/** What a scripted program does; times in ms after its start. */
export interface Script {
  /** When it begins to answer; never if left out. */
  readonly listens?: number;
  readonly status?: number;
  /** When it ends by itself. */
  readonly exits?: number;
  readonly code?: number;
  readonly prints?: string;
  /** How long it takes to end after SIGTERM; Infinity ignores it. */
  readonly term?: number;
  /** Something it started stays this long after it ended. */
  readonly leftover?: number;
  readonly elsewhere?: readonly number[];
}

export interface FakeProgram {
  readonly pid: number;
  readonly name: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly signals: string[];
  readonly startedAt: number;
  end(exit: Exit): void;
  alive(): boolean;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly then: () => void;
}

export class FakeHost implements Host {
  readonly programs: FakeProgram[] = [];
  readonly random = (): number => 1;
  portsLeft = Infinity;
  /** What a path answers at a port instead of what the script says; null: nothing. */
  readonly paths = new Map<string, (port: number) => number | null>();
  readonly #script: (name: string, nth: number) => Script | string;
  readonly #answers = new Map<number, { from: number; status: number; gone: () => boolean }>();
  #timers: Timer[] = [];
  #now = 0;
  #order = 0;
  #port = 20_000;

  constructor(script: (name: string, nth: number) => Script | string) {
    this.#script = script;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, then: () => void): () => void {
    const timer = { at: this.#now + ms, order: this.#order++, then };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  /** Runs all that happens within `ms`, in order. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await settle();
      const [next] = this.#timers.toSorted((a, b) => a.at - b.at || a.order - b.order);
      if (next === undefined || next.at > until) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = next.at;
      next.then();
    }
    this.#now = until;
  }

  freePort(): Promise<number> {
    return Promise.resolve(this.portsLeft-- > 0 ? ++this.#port : 0);
  }

  knock(port: number, path: string): Promise<Knock> {
    const answer = this.#answers.get(port);
    if (answer === undefined || answer.gone() || this.#now < answer.from) return Promise.resolve({ kind: "refused" });
    const own = this.paths.get(path);
    const status = own === undefined ? answer.status : own(port);
    if (status === null) return Promise.resolve({ kind: "silent", host: "127.0.0.1" });
    return Promise.resolve({ kind: "status", status, host: "127.0.0.1" });
  }

  spawn(options: SpawnOptions): ProcessGroup | string {
    const name = options.env["PLIMSOLL_INSTANCE"] ?? "";
    const script = this.#script(name, this.programs.filter((program) => program.name === name).length + 1);
    if (typeof script === "string") return script;
    const port = Number(options.env["PORT"]);
    let ended = false;
    let leftoverUntil = 0;
    const end = (exit: Exit): void => {
      if (ended) return;
      ended = true;
      leftoverUntil = this.#now + (exit.signal === "SIGKILL" ? 0 : (script.leftover ?? 0));
      options.exited(exit);
      options.outputEnded();
    };
    const signals: string[] = [];
    const pid = 1000 + this.programs.length;
    const alive = (): boolean => !ended || this.#now < leftoverUntil;
    const { env, command } = options;
    this.programs.push({ pid, name, port, env, command, signals, startedAt: this.#now, end, alive });
    if (script.prints !== undefined) void options.output("stdout", new TextEncoder().encode(script.prints));
    if (script.listens !== undefined) {
      this.#answers.set(port, { from: this.#now + script.listens, status: script.status ?? 200, gone: () => ended });
    }
    if (script.exits !== undefined) this.after(script.exits, () => end({ code: script.code ?? 1, signal: "" }));
    return {
      pid,
      alive,
      listening: () => script.elsewhere ?? [],
      signal: (signal) => {
        signals.push(signal);
        if (signal === "SIGKILL") {
          end({ code: null, signal });
          leftoverUntil = 0;
        } else if (script.term !== Infinity) this.after(script.term ?? 0, () => end({ code: 0, signal: "" }));
      },
    };
  }
}

/** A sink that writes down what it was told; draining takes `drainTime` of virtual time. */
export class FakeSink implements EndpointsSink {
  readonly story: string[] = [];
  current: readonly AppEndpoint[] = [];
  readonly draining = new Set<string>();
  /** Ids that never come into rotation. */
  readonly refused = new Set<string>();
  /** Fewest endpoints that took new traffic since the last time it was set. */
  fewest = 0;
  readonly #host: FakeHost;
  readonly #drainTime: number;

  constructor(host: FakeHost, drainTime = 100) {
    this.#host = host;
    this.#drainTime = drainTime;
  }

  set(endpoints: readonly AppEndpoint[]): Promise<boolean> {
    this.current = endpoints;
    this.story.push(`set ${endpoints.map((endpoint) => endpoint.id).join(" ")}`);
    this.#count();
    return Promise.resolve(!endpoints.some((endpoint) => this.refused.has(endpoint.id)));
  }

  drain(id: string): Promise<void> {
    this.draining.add(id);
    this.story.push(`drain ${id}`);
    this.#count();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#host.after(this.#drainTime, () => {
      this.story.push(`drained ${id}`);
      resolve();
    });
    return promise;
  }

  taking(): number {
    return this.current.filter((endpoint) => !this.draining.has(endpoint.id)).length;
  }

  #count(): void {
    this.fewest = Math.min(this.fewest, this.taking());
  }
}

/** Lets every promise that can settle do so. */
async function settle(): Promise<void> {
  for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve));
}

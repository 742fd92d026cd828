// A small closed-loop load: every connection asks, waits for its answer, checks it, and asks again. Made to count what went
// wrong, not to be fast. Every request carries an id that the origin must echo, so that an answer that belongs to another
// request is noticed.
import { LoadConnection } from "./load-connection.ts";

export interface LoadOptions {
  readonly port: number;
  readonly host?: string;
  /** Requests altogether. */
  readonly requests: number;
  /** Connections at a time; 8 unless told. */
  readonly connections?: number;
  /** Requests before a connection is replaced; no limit unless told. */
  readonly perConnection?: number;
  /** Path of the target; "/" unless told. The id is added as a query. */
  readonly path?: string;
  /** Fields of every request, each ending in CRLF. */
  readonly fields?: string;
  /** Body bytes of each request; 0 (a GET) unless told. */
  readonly bodyBytes?: number;
  /** Longest wait for one answer in ms; 10 s unless told. */
  readonly timeout?: number;
  /** Stop asking after this many ms; 5 minutes unless told. */
  readonly duration?: number;
  /** Stops asking; what is under way is still awaited. */
  readonly signal?: AbortSignal;
}

/** Why a request counts as failed. */
export type Failure =
  | "refused" // no connection
  | "reset" // RST before the answer was complete
  | "closed" // FIN before the answer was complete
  | "timeout"
  | "status" // another status than 200
  | "malformed" // an answer that is no HTTP
  | "mismatch"; // an answer to another request, or a wrong body

export interface LoadResult {
  readonly sent: number;
  readonly ok: number;
  readonly failed: number;
  readonly failures: Readonly<Record<Failure, number>>;
  /** Failed answers by status. */
  readonly statuses: Readonly<Record<number, number>>;
  /** The first few failures, told for people. */
  readonly examples: readonly string[];
  readonly slowestMs: number;
  readonly connections: number;
  readonly elapsedMs: number;
}

/** Runs the load to its end. Never rejects: every outcome is a count. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const tally = new Tally(options);
  const width = Math.min(options.connections ?? 8, options.requests);
  await Promise.all(Array.from({ length: width }, () => drive(tally, options)));
  return tally.result();
}

/** One slot: connections one after another, requests one after another on each. */
async function drive(tally: Tally, options: LoadOptions): Promise<void> {
  const { perConnection = Number.POSITIVE_INFINITY } = options;
  let connection: LoadConnection | undefined;
  let onThis = 0;
  for (let id = tally.next(); id !== undefined; id = tally.next()) {
    if (connection && (connection.dead || onThis >= perConnection)) {
      connection.close();
      connection = undefined;
    }
    const started = performance.now();
    if (!connection) {
      connection = await LoadConnection.open(options);
      onThis = 0;
      tally.connections++;
    }
    onThis++;
    const problem = connection.dead ? { kind: "refused" as const, text: "no connection" } : await connection.ask(id);
    tally.count(performance.now() - started, problem);
    // Nobody is helped by a loop that hammers a closed port.
    if (problem?.kind === "refused") await Bun.sleep(5);
  }
  connection?.close();
}

class Tally {
  sent = 0;
  ok = 0;
  connections = 0;
  readonly #failures: Record<Failure, number> = {
    refused: 0,
    reset: 0,
    closed: 0,
    timeout: 0,
    status: 0,
    malformed: 0,
    mismatch: 0,
  };
  readonly #statuses: Record<number, number> = {};
  readonly #examples: string[] = [];
  #slowest = 0;
  readonly #options: LoadOptions;
  readonly #started = performance.now();

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** The next request's id, or undefined when enough was asked. */
  next(): number | undefined {
    const { requests, signal, duration = 300_000 } = this.#options;
    if (this.sent >= requests || signal?.aborted || performance.now() - this.#started > duration) return undefined;
    return this.sent++;
  }

  count(ms: number, problem: Problem | undefined): void {
    this.#slowest = Math.max(this.#slowest, ms);
    if (!problem) {
      this.ok++;
      return;
    }
    this.#failures[problem.kind]++;
    if (problem.status !== undefined) this.#statuses[problem.status] = (this.#statuses[problem.status] ?? 0) + 1;
    if (this.#examples.length < 10) this.#examples.push(`${problem.kind}: ${problem.text}`);
  }

  result(): LoadResult {
    return {
      sent: this.sent,
      ok: this.ok,
      failed: this.sent - this.ok,
      failures: this.#failures,
      statuses: this.#statuses,
      examples: this.#examples,
      slowestMs: this.#slowest,
      connections: this.connections,
      elapsedMs: performance.now() - this.#started,
    };
  }
}

interface Problem {
  readonly kind: Failure;
  readonly text: string;
  readonly status?: number;
}

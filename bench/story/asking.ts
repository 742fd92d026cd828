// The story of an endpoint's life, told beside nginx and HAProxy. This file: clients that ask at a pace, and what they saw.
// The folder must not know how any balancer works inside; it sees answers, and what the instances count.
import { LoadConnection } from "@plimsoll/testbed/load-connection";

export interface AskingOptions {
  readonly port: number;
  /** Name under which the instances count these requests. */
  readonly story: string;
  /** Clients, each with a connection of its own. */
  readonly lanes: number;
  /** Requests of each lane; no limit unless told. */
  readonly perLane?: number;
  /** Ms that the instance takes for each. */
  readonly work?: number;
  /** Of so many lanes one sends POSTs; 0, for none, unless told. */
  readonly postEvery?: number;
  /** Ms before a lane's request of this number, from 0. */
  readonly pause: (lane: number, request: number) => number;
  /** Ends the asking; what is under way is awaited. */
  readonly signal?: AbortSignal;
  /** Longest wait for an answer in ms; 15 s unless told. */
  readonly timeout?: number;
}

/** What clients saw. */
export interface Asked {
  readonly sent: number;
  readonly failed: number;
  /** Failures by their kind, and POSTs among them. */
  readonly kinds: Readonly<Record<string, number>>;
  readonly failedPosts: number;
  readonly p50: number;
  readonly p99: number;
  readonly slowest: number;
  /** Answers that took more than a second. */
  readonly overSecond: number;
  readonly examples: readonly string[];
}

/** Runs the lanes to their end. Never rejects: every outcome is a count. */
export async function ask(options: AskingOptions): Promise<Asked> {
  const { lanes, perLane = Number.POSITIVE_INFINITY, postEvery = 0, signal } = options;
  const times: number[] = [];
  const kinds: Record<string, number> = {};
  const examples: string[] = [];
  let failed = 0;
  let failedPosts = 0;
  const lane = async (number: number): Promise<void> => {
    const post = postEvery > 0 && number % postEvery === 0;
    let connection: LoadConnection | undefined;
    for (let request = 0; request < perLane; request++) {
      await sleep(options.pause(number, request), signal);
      if (signal?.aborted) break;
      if (!connection || connection.dead) connection = await open(options, post);
      const started = performance.now();
      const problem = connection.dead
        ? { kind: "refused", text: "no connection" }
        : await connection.ask(number * 100_000 + request);
      times.push(performance.now() - started);
      if (!problem) continue;
      failed++;
      if (post) failedPosts++;
      const kind = "status" in problem && problem.status !== undefined ? String(problem.status) : problem.kind;
      kinds[kind] = (kinds[kind] ?? 0) + 1;
      if (examples.length < 5) examples.push(`${post ? "POST" : "GET"} ${problem.text.split("\r\n", 1)[0]}`);
    }
    connection?.close();
  };
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return {
    sent: times.length,
    failed,
    kinds,
    failedPosts,
    p50: at(0.5),
    p99: at(0.99),
    slowest: times.at(-1) ?? 0,
    overSecond: times.filter((one) => one > 1000).length,
    examples,
  };
}

/** Several runs of the same clients as one; the 99th percentile is that of the worst. */
export function together(runs: readonly Asked[]): Asked {
  const sum = (pick: (one: Asked) => number): number => runs.reduce((total, one) => total + pick(one), 0);
  const worst = (pick: (one: Asked) => number): number => Math.max(0, ...runs.map(pick));
  const kinds: Record<string, number> = {};
  for (const one of runs)
    for (const [kind, count] of Object.entries(one.kinds)) kinds[kind] = (kinds[kind] ?? 0) + count;
  return {
    sent: sum((one) => one.sent),
    failed: sum((one) => one.failed),
    kinds,
    failedPosts: sum((one) => one.failedPosts),
    p50: worst((one) => one.p50),
    p99: worst((one) => one.p99),
    slowest: worst((one) => one.slowest),
    overSecond: sum((one) => one.overSecond),
    examples: runs.flatMap((one) => one.examples).slice(0, 5),
  };
}

function open({ port, story, work = 0, timeout = 15_000 }: AskingOptions, post: boolean): Promise<LoadConnection> {
  return LoadConnection.open({
    port,
    path: `/?ms=${work}`,
    fields: `X-Story: ${story}\r\n`,
    bodyBytes: post ? 200 : 0,
    timeout,
  });
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return Bun.sleep(ms);
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

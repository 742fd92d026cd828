// One run of one instance: from its start until nothing of it is left.
import { type FailedStart } from "./diagnosis.ts";
import type { AppPlan, Exit, Host, Knock, ProcessGroup, Stream } from "./host.ts";
import { LastLines, LineSplitter } from "./lines.ts";
import { judgeKnock } from "./readiness.ts";

/** Takes one line of output; borrowed. Reading goes on when the promise, if any, is settled. */
export type Print = (stream: Stream, line: Uint8Array) => void | Promise<void>;

/** An unfinished line is passed on after this long, because it may be a question. In ms. */
const promptDelay = 1000;
/** After this long on a wrong port the operator is told, although the start may still succeed. In ms. */
const elsewhereDelay = 3000;
const knockDelays = [25, 50, 100, 250] as const;
const leftoverPoll = 25;

/** A started program and what is known of it. */
export class Run {
  readonly name: string;
  readonly id: string;
  readonly port: number;
  readonly group: ProcessGroup;
  readonly startedAt: number;
  readonly lastLines: LastLines;
  /** Resolves when the program itself has ended. */
  readonly ended: Promise<Exit>;
  /** Resolves when its output is complete as well. */
  readonly silent: Promise<void>;
  /** The loopback address on which it answered. */
  address = "127.0.0.1";
  exit: Exit | null = null;
  readyAt = -1;
  /** We want it gone: its end is no failure. */
  unwanted = false;

  constructor(
    name: string,
    id: string,
    port: number,
    startedAt: number,
    start: { group: ProcessGroup; lastLines: LastLines; ended: Promise<Exit>; silent: Promise<void> },
  ) {
    this.name = name;
    this.id = id;
    this.port = port;
    this.startedAt = startedAt;
    this.group = start.group;
    this.lastLines = start.lastLines;
    this.ended = start.ended;
    this.silent = start.silent;
    void this.ended.then((exit) => (this.exit = exit));
  }
}

/** Starts a run; a FailedStart when the program cannot even be started. */
export function startRun(
  plan: AppPlan,
  host: Host,
  name: string,
  id: string,
  port: number,
  print: Print,
): Run | FailedStart {
  if (port === 0) return failure(plan, port, { spawnError: "no TCP port is free on this machine" });
  const lastLines = new LastLines();
  const ended = Promise.withResolvers<Exit>();
  const silent = Promise.withResolvers<void>();
  const out = lineReader(host, lastLines, (line) => print("stdout", line));
  const err = lineReader(host, lastLines, (line) => print("stderr", line));
  const group = host.spawn({
    command: plan.command.map((word) => word.replaceAll(/\$PORT\b|\$\{PORT\}/g, String(port))),
    env: { ...plan.env, PORT: String(port), PLIMSOLL_INSTANCE: name },
    output: (stream, bytes) => (stream === "stdout" ? out : err).take(bytes),
    exited: ended.resolve,
    outputEnded: () => {
      out.end();
      err.end();
      silent.resolve();
    },
  });
  const startedAt = host.now();
  if (typeof group === "string") return failure(plan, port, { spawnError: group });
  return new Run(name, id, port, startedAt, { group, lastLines, ended: ended.promise, silent: silent.promise });
}

/** Splits one stream into lines, hands on what stays unfinished for long, and waits for whoever prints. */
function lineReader(host: Host, lastLines: LastLines, print: (line: Uint8Array) => void | Promise<void>) {
  const splitter = new LineSplitter();
  let printed: void | Promise<void>;
  let cancelFlush: (() => void) | null = null;
  const line = (bytes: Uint8Array): void => {
    lastLines.add(bytes);
    printed = print(bytes);
  };
  return {
    take(bytes: Uint8Array): void | Promise<void> {
      cancelFlush?.();
      cancelFlush = null;
      printed = undefined;
      splitter.push(bytes, line);
      if (splitter.pending > 0) cancelFlush = host.after(promptDelay, () => splitter.flush(line));
      return printed;
    },
    end(): void {
      cancelFlush?.();
      cancelFlush = null;
      splitter.flush(line);
    },
  };
}

/** What `untilReady` tells while it waits. */
export type Elsewhere = (ports: readonly number[]) => void;

/** Waits until the run answers, ends or has used up its time. Resolves to the doubt that remains ("" for none) when ready. */
export async function untilReady(
  run: Run,
  plan: AppPlan,
  host: Host,
  elsewhere: Elsewhere,
): Promise<{ readonly doubt: string } | FailedStart> {
  let listeningSince = -1;
  let lastKnock = "";
  let told = false;
  for (let round = 0; ; round++) {
    const knock = await Promise.race([host.knock(run.port, plan.readyPath ?? "/"), run.ended.then(() => null)]);
    const waited = host.now() - run.startedAt;
    if (knock === null || run.exit !== null) {
      // The last words may still be on their way, and they are what the operator needs.
      await run.silent;
      return failure(plan, run.port, { exit: run.exit, waited, lastKnock, lastLines: run.lastLines.list() });
    }
    lastKnock = describeKnock(knock);
    if (knock.kind === "refused") listeningSince = -1;
    else if (listeningSince < 0) listeningSince = host.now();
    const judgement = judgeKnock(knock, plan.readyPath, listeningSince < 0 ? 0 : host.now() - listeningSince);
    if (judgement.kind === "ready") {
      run.readyAt = host.now();
      run.address = judgement.host;
      return { doubt: judgement.doubt };
    }
    if (waited >= plan.readyTimeout) {
      const ports = run.group.listening();
      return failure(plan, run.port, { waited, lastKnock, elsewhere: ports, lastLines: run.lastLines.list() });
    }
    if (!told && knock.kind === "refused" && waited >= elsewhereDelay) {
      const ports = run.group.listening();
      // It may have come to its own port since the knock.
      told = ports.length > 0 && !ports.includes(run.port);
      if (told) elsewhere(ports);
    }
    await Promise.race([sleep(host, knockDelays[Math.min(round, knockDelays.length - 1)] ?? 250), run.ended]);
  }
}

/** Ends a run and all it started: SIGTERM, `grace` ms, SIGKILL. Resolves to whether force was needed, when nothing is left. */
export async function endRun(run: Run, host: Host, grace: number): Promise<boolean> {
  run.unwanted = true;
  run.group.signal("SIGTERM");
  if (await untilGone(run, host, grace)) return false;
  run.group.signal("SIGKILL");
  // A process in an uninterruptible wait cannot be ended by anybody; it must not keep us.
  await untilGone(run, host, 5000);
  return true;
}

async function untilGone(run: Run, host: Host, limit: number): Promise<boolean> {
  const until = host.now() + limit;
  for (;;) {
    if (run.exit !== null && !run.group.alive()) return true;
    if (host.now() >= until) return false;
    await sleep(host, leftoverPoll);
  }
}

export async function sleep(host: Host, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  host.after(ms, resolve);
  return promise;
}

function describeKnock(knock: Knock): string {
  if (knock.kind === "refused") return "";
  return knock.kind === "silent" ? "no answer" : `status ${knock.status}`;
}

function failure(plan: AppPlan, port: number, seen: Partial<FailedStart>): FailedStart {
  const nothing = { exit: null, spawnError: "", waited: 0, elsewhere: [], lastKnock: "", lastLines: [] };
  return { port, readyPath: plan.readyPath, ...nothing, ...seen };
}

// The report: a table for each scenario, medians over the rounds, and what it was measured on.
import type { MemorySample, RateSample } from "./measure.ts";
import { megabytes, type Outcome, type ScenarioResult } from "./run.ts";

/** What stands above the tables. */
export interface Circumstances {
  readonly date: string;
  readonly command: string;
  readonly commit: string;
  readonly machine: readonly string[];
  readonly versions: readonly string[];
  readonly missing: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  /** What else kept the machine busy before the first run, for people to judge by. */
  readonly busyBefore: readonly number[];
}

/** The measured numbers of one rival, medians over its rounds. */
export interface RateRow {
  readonly rival: string;
  readonly requestsPerSecond: number;
  readonly p50us: number;
  readonly p99us: number;
  readonly cpuUs: number;
  readonly memoryBytes: number;
  readonly errors: number;
  /** Share of resumed connections, the least of all rounds; undefined where nothing is resumed. */
  readonly resumed: number | undefined;
  /** Lowest and highest CPU time of the rounds. */
  readonly cpuRange: readonly [number, number];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function rateRow(outcome: Outcome): RateRow | undefined {
  const { rival, rates } = outcome;
  if (rates.length === 0) return undefined;
  const of = (pick: (sample: RateSample) => number): number => median(rates.map(pick));
  const cpu = rates.map((sample) => sample.cpuUs);
  return {
    rival,
    requestsPerSecond: of((sample) => sample.requestsPerSecond),
    p50us: of((sample) => sample.p50us),
    p99us: of((sample) => sample.p99us),
    cpuUs: of((sample) => sample.cpuUs),
    memoryBytes: of((sample) => sample.memoryBytes),
    errors: rates.reduce((sum, sample) => sum + sample.errors, 0),
    resumed: rates.some((sample) => sample.resumed === undefined)
      ? undefined
      : Math.min(...rates.map((sample) => sample.resumed ?? 0)),
    cpuRange: [Math.min(...cpu), Math.max(...cpu)],
  };
}

/** The whole report as Markdown. */
export function reportText(circumstances: Circumstances, results: readonly ScenarioResult[]): string {
  const { rounds, seconds } = circumstances;
  const busy = circumstances.busyBefore.map((share) => `${Math.round(share * 100)} %`).join(", ");
  const lines = [
    "# Measurements",
    "",
    "Made by `npm run bench`; every number that this project gives comes from here.",
    "",
    `- ${circumstances.date}, commit ${circumstances.commit}`,
    ...circumstances.machine.map((line) => `- ${line}`),
    `- Cores busy with other things just before: ${busy}`,
    `- ${circumstances.versions.join("; ")}`,
    ...circumstances.missing.map((name) => `- **missing here:** ${name}`),
    `- \`${circumstances.command}\``,
    "",
    `Each balancer runs on core 0, load (wrk, or a program of ours) and origin (nginx) on another. In each of ${rounds} rounds every balancer has its turn for`,
    `${seconds} s; numbers are medians over the rounds. CPU is user and system time of all processes of a balancer, divided by the`,
    "requests answered; in brackets the lowest and the highest round. The ratio compares its CPU with that of the best *other*",
    "balancer of the same run: below 1.00 is better than all of them. Busy is how much of its core it used: whoever has some left",
    "was waiting for the load, whose core was full, and requests/s compare the load's work then. Memory counts shared pages once (PSS).",
  ];
  for (const { scenario, outcomes } of results) {
    lines.push("", `## ${scenario.title}`, "", scenario.text, "");
    lines.push(...(scenario.measures === "memory" ? memoryTable(outcomes) : rateTable(outcomes)));
    for (const { rival, problem } of outcomes) if (problem) lines.push("", `**${rival}** gave no numbers: ${problem}`);
  }
  return `${lines.join("\n")}\n`;
}

function rateTable(outcomes: readonly Outcome[]): readonly string[] {
  const rows = outcomes.flatMap((outcome) => rateRow(outcome) ?? []);
  const resuming = rows.some((row) => row.resumed !== undefined);
  const table = [
    `| | requests/s | p50 | p99 | CPU us/request | ratio | busy | memory MB | errors |${resuming ? " resumed |" : ""}`,
    `|---|--:|--:|--:|--:|--:|--:|--:|--:|${resuming ? "--:|" : ""}`,
  ];
  for (const row of rows) {
    const others = rows.filter((one) => one !== row).map((one) => one.cpuUs);
    const ratio = others.length > 0 ? (row.cpuUs / Math.min(...others)).toFixed(2) : "";
    const [low, high] = row.cpuRange;
    const cells = [
      row.rival,
      String(Math.round(row.requestsPerSecond)),
      milliseconds(row.p50us),
      milliseconds(row.p99us),
      `${row.cpuUs.toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`,
      ratio,
      `${Math.round((row.requestsPerSecond * row.cpuUs) / 10_000)} %`,
      megabytes(row.memoryBytes),
      String(row.errors),
      ...(resuming ? [resumedText(row.resumed ?? 0)] : []),
    ];
    table.push(`| ${cells.join(" | ")} |`);
  }
  return table;
}

/** Less than nearly all, and the row is not about resumed handshakes. */
function resumedText(share: number): string {
  const text = `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
  return share < 0.99 ? `**only ${text}**` : text;
}

function memoryTable(outcomes: readonly Outcome[]): readonly string[] {
  const table = [
    "| | at start MB | requests | then MB | requests | then MB | growth | errors |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
  ];
  for (const { rival, memory } of outcomes) if (memory) table.push(memoryLine(rival, memory));
  return table;
}

function memoryLine(rival: string, memory: MemorySample): string {
  const growth = `${((memory.lastBytes / memory.firstBytes - 1) * 100).toFixed(1)} %`;
  const first = [String(memory.firstRequests), megabytes(memory.firstBytes)];
  const last = [String(memory.lastRequests), megabytes(memory.lastBytes)];
  return `| ${[rival, megabytes(memory.startBytes), ...first, ...last, growth, String(memory.errors)].join(" | ")} |`;
}

function milliseconds(us: number): string {
  return `${(us / 1000).toFixed(2)} ms`;
}

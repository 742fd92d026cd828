// `npm run bench`: this balancer and its rivals side by side. Without arguments it takes twenty minutes and writes
// bench/results/latest.md and latest.json; a run that is not the whole thing writes into bench/results/raw/ instead.
import { mkdirSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { busyCores } from "./cores.ts";
import { type Circumstances, reportText } from "./report.ts";
import type { Rival } from "./rivals/rival.ts";
import { rivals } from "./rivals/table.ts";
import { runScenario, type RunOptions, type ScenarioResult } from "./run.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { scenarios } from "./scenarios/table.ts";

const usage = `npm run bench -- [options]
  --only a,b       scenarios: ${scenarios.map((one) => one.name).join(", ")}
  --rivals a,b     balancers: ${rivals.map((one) => one.name).join(", ")}
  --rounds n       rounds of each scenario (3)
  --seconds n      seconds of each run (5)
  --quick          everything small and short: shows that it works, measures nothing
  --help           this`;

interface Wanted {
  readonly picked: readonly Scenario[];
  readonly found: readonly Rival[];
  readonly missing: readonly string[];
  readonly options: RunOptions;
  readonly whole: boolean;
}

async function readWanted(args: string[]): Promise<Wanted | string> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      rivals: { type: "string" },
      rounds: { type: "string", default: "" },
      seconds: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return usage;
  const picked = pick(scenarios, values.only);
  const kinds = pick(rivals, values.rivals);
  if (typeof picked === "string") return `No such scenario: ${picked}\n${usage}`;
  if (typeof kinds === "string") return `No such balancer: ${kinds}\n${usage}`;
  const rounds = Number(values.rounds || (values.quick ? 1 : 3));
  const seconds = Number(values.seconds || (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1 || !(seconds >= 1))
    return `--rounds and --seconds are numbers from 1\n${usage}`;
  const looked = await Promise.all(kinds.map(async (kind) => ({ kind, rival: await kind.find() })));
  return {
    picked,
    found: looked.flatMap(({ rival }) => rival ?? []),
    missing: looked.filter(({ rival }) => !rival).map(({ kind }) => `${kind.name} (${kind.get})`),
    options: { scale: values.quick ? "quick" : "full", rounds, seconds },
    whole: !values.quick && !values.only && !values.rivals,
  };
}

/** Those of a table that are named in a list with commas; all without a list; the unknown name as text. */
function pick<T extends { readonly name: string }>(
  table: readonly T[],
  list: string | undefined,
): readonly T[] | string {
  if (list === undefined) return table;
  const names = list.split(",");
  const unknown = names.find((name) => !table.some((one) => one.name === name));
  return unknown ?? table.filter((one) => names.includes(one.name));
}

async function main(args: string[]): Promise<number> {
  const wanted = await readWanted(args);
  if (typeof wanted === "string") {
    console.log(wanted);
    return wanted === usage ? 0 : 2;
  }
  const lacking = ["nginx", "wrk", "taskset"].filter((name) => !Bun.which(name));
  if (lacking.length > 0) {
    console.error(
      `Measuring needs ${lacking.join(", ")}: nginx is the origin, wrk the load, taskset keeps each on its core.`,
    );
    console.error("On Debian: apt-get install nginx wrk util-linux haproxy caddy");
    return 3;
  }
  const { options, picked, found, missing, whole } = wanted;
  for (const name of missing) console.log(`missing: ${name}`);
  const busyBefore = await busyCores(1000);
  const results: ScenarioResult[] = [];
  for (const scenario of picked) {
    console.log(scenario.title);
    results.push(await runScenario(scenario, found, options, (text) => console.log(text)));
  }
  const circumstances: Circumstances = {
    date: new Date().toISOString().slice(0, 10),
    command: ["npm run bench", ...(args.length > 0 ? ["--", ...args] : [])].join(" "),
    commit: commit(),
    machine: machine(),
    versions: found.map((rival) => rival.version),
    missing,
    rounds: options.rounds,
    seconds: options.seconds,
    busyBefore,
  };
  await write(circumstances, results, whole);
  const failed = results.some(({ outcomes }) => outcomes.some((one) => one.problem !== undefined));
  return failed ? 1 : 0;
}

async function write(circumstances: Circumstances, results: readonly ScenarioResult[], whole: boolean): Promise<void> {
  const folder = join(import.meta.dir, "results", whole ? "" : "raw");
  mkdirSync(folder, { recursive: true });
  const text = reportText(circumstances, results);
  const data = results.map(({ scenario, outcomes }) => ({ scenario: scenario.name, outcomes }));
  await Bun.write(join(folder, "latest.md"), text);
  await Bun.write(join(folder, "latest.json"), `${JSON.stringify({ ...circumstances, results: data }, null, 1)}\n`);
  console.log(`\n${text}\nWritten to bench/results/${whole ? "" : "raw/"}latest.md and latest.json`);
}

function commit(): string {
  const git = Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], { cwd: import.meta.dir });
  const dirty = Bun.spawnSync(["git", "status", "--porcelain", "--untracked-files=no"], { cwd: import.meta.dir });
  return `${git.stdout.toString().trim()}${dirty.stdout.length > 0 ? " with changes" : ""}`;
}

function machine(): readonly string[] {
  const all = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return [`${all.length} cores, ${all[0]?.model ?? "unknown processor"}, ${memory}; Linux ${release()}`];
}

process.exit(await main(process.argv.slice(2)));

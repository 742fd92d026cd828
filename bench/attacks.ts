// `npm run attacks`: what four slow attacks (slowhttptest) come to for a client that means well. The balancer runs with its
// defaults; the attacks are slow heads, slow bodies, many ranges and slow readers, from 4,000 connections each. Prints a table;
// takes about ten minutes for each balancer. The good client asks at a fixed, low rate, half of it on new connections: what
// counts is its latency. A witness asks the origin past the balancer: what the machine itself has become is no balancer's fault.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Program, startProgram } from "@plimsoll/testbed/processes";
import { type Attackable, attackable, startBalancer } from "./attacks/balancers.ts";
import { every, mib, quantile, type Seen, watch } from "./attacks/watch.ts";
import { cores, pinned } from "./cores.ts";
import { startOrigin } from "./origin.ts";
import { takeTurn } from "./turn.ts";

const usage = `npm run attacks -- [options]
  --only a,b         of head, body, range, read
  --on a,b           of plimsoll, nginx (plimsoll)
  --connections n    of each attack (4000)
  --seconds n        of each attack (110)
  --quiet n          seconds without an attack before each (20)
  --trace            a line each second, to stderr; latency is worse for it
  --help             this`;

/** One attack; `args` are slowhttptest's. */
interface Attack {
  readonly name: string;
  readonly what: string;
  readonly args: readonly string[];
  readonly path: string;
}

const attacks: readonly Attack[] = [
  { name: "head", what: "slow heads", args: ["-H", "-i", "9", "-x", "24"], path: "/" },
  { name: "body", what: "slow bodies", args: ["-B", "-i", "9", "-s", "8192", "-x", "10"], path: "/upload" },
  { name: "range", what: "many ranges", args: ["-R", "-a", "10", "-b", "3000"], path: "/1m" },
  {
    name: "read",
    what: "slow readers",
    args: ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"],
    path: "/1m",
  },
];

/** Seconds in which an attack opens its connections. */
const rampUp = 10;
async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      on: { type: "string", default: "plimsoll" },
      connections: { type: "string", default: "4000" },
      seconds: { type: "string", default: "110" },
      quiet: { type: "string", default: "20" },
      trace: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const attacked = attackable.filter((name) => values.on.split(",").includes(name));
  const picked = attacks.filter(({ name }) => values.only?.split(",").includes(name) ?? true);
  const connections = Number(values.connections);
  const seconds = Number(values.seconds);
  const quiet = Number(values.quiet);
  if (values.help || picked.length * attacked.length === 0 || !(connections >= 1) || !(seconds >= 1) || !(quiet >= 1)) {
    console.log(usage);
    return values.help ? 0 : 2;
  }
  for (const needed of ["slowhttptest", "nginx", "taskset", "nice"]) {
    if (Bun.which(needed) !== null) continue;
    console.log(`There is no ${needed}. On Debian: apt-get install slowhttptest nginx`);
    return 2;
  }
  const endTurn = await takeTurn(() => console.error("Another measurement runs; waiting for its end."));
  const folder = mkdtempSync(join(tmpdir(), "attacks-"));
  // An origin on a machine of its own would hold what nobody takes in that machine's memory; here it would use up ours.
  const origin = await startOrigin(folder, 3, false, "64k");
  try {
    console.log(`${cpus().length} cores (${cpus()[0]?.model}), Linux ${release()}, Bun ${Bun.version}.`);
    console.log(`${connections} connections a time for ${seconds} s; ${1000 / every} good requests a second.\n`);
    console.log(
      "| | p50 ms | p99 ms | longest | failed | p99 past it | open at most | open at last | resident | in the kernel | CPU | faults |",
    );
    console.log("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
    for (const attack of picked) {
      for (const name of attacked)
        await strike(attack, name, { folder, connections, seconds, quiet, trace: values.trace });
    }
  } finally {
    await origin.stop();
    rmSync(folder, { recursive: true, force: true });
    await endTurn();
  }
  return 0;
}

interface Measure {
  readonly folder: string;
  readonly connections: number;
  readonly seconds: number;
  /** Seconds in which nothing attacks, before it does. */
  readonly quiet: number;
  readonly trace: boolean;
}

async function strike(attack: Attack, name: Attackable, measure: Measure): Promise<void> {
  const { folder, connections, seconds } = measure;
  const tell = measure.trace ? (line: string): void => console.error(`${name}, ${attack.name}, ${line}`) : undefined;
  const balancer = await startBalancer(name, folder, connections);
  let attacker: Program | undefined;
  try {
    await watch(balancer, 5);
    const quiet = await watch(balancer, measure.quiet);
    console.log(row(`${name} before: quiet`, quiet));
    const url = `http://127.0.0.1:${balancer.port}${attack.path}`;
    const sizes = ["-c", `${connections}`, "-r", `${Math.ceil(connections / rampUp)}`, "-l", `${seconds}`, "-u", url];
    // Of low priority: the good client is on its core, and what is measured is the balancer.
    attacker = await startProgram(pinned(cores.load, ["nice", "-n", "19", "slowhttptest", ...attack.args, ...sizes]));
    const seen = await watch(balancer, seconds, tell);
    const times = quantile(seen.good.took, 0.99) / quantile(quiet.good.took, 0.99);
    console.log(row(`${name}, **${attack.what}**: p99 × ${times.toFixed(2)}`, seen));
  } finally {
    await attacker?.stop(3000);
    await balancer.program.stop(3000);
  }
}

function row(name: string, seen: Seen): string {
  const { good, direct } = seen;
  const ms = (took: readonly number[], share: number): string => quantile(took, share).toFixed(2);
  const cells = [
    name,
    ms(good.took, 0.5),
    ms(good.took, 0.99),
    ms(good.took, 1),
    good.failures,
    ms(direct.took, 0.99),
    seen.most,
    seen.left,
    mib(seen.memory),
    mib(seen.kernel),
    `${(seen.cpu * 100).toFixed(0)} %`,
    seen.faults,
  ];
  return `| ${cells.join(" | ")} |`;
}

process.exit(await main(process.argv.slice(2)));

// `npm run attacks`: what four slow attacks (slowhttptest) come to for a client that means well. The balancer runs with its
// defaults; the attacks are slow heads, slow bodies, many ranges and slow readers, from 4,000 connections each. Prints a table;
// takes about ten minutes. The good client asks at a fixed, low rate, half of it on new connections: what counts is its latency.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { freePort, type Program, startProgram } from "@plimsoll/testbed/processes";
import { connectRaw, type RawClient } from "@plimsoll/testbed/raw-client";
import { cores, pinned } from "./cores.ts";
import { endpoints, startOrigin } from "./origin.ts";
import { takeTurn } from "./turn.ts";
import { cpuMicroseconds, residentMemory } from "./usage.ts";

const usage = `npm run attacks -- [options]
  --only a,b         of head, body, range, read
  --connections n    of each attack (4000)
  --seconds n        of each attack (110)
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

/** Ms between two requests of the client that means well. */
const every = 10;
/** Seconds in which an attack opens its connections. */
const rampUp = 10;
/** Seconds in which nothing attacks, before each attack. */
const quietSeconds = 20;

/** What was seen during one attack, or without one. */
interface Seen {
  readonly latencies: readonly number[];
  readonly failures: number;
  /** Connections open at a time at most, and in the end. */
  readonly most: number;
  readonly left: number;
  /** Resident bytes of all processes, at most, and bytes in the kernel's TCP buffers, at most, of the whole machine. */
  readonly memory: number;
  readonly kernel: number;
  /** Share of one core. */
  readonly cpu: number;
  /** Faults by code, most frequent first. */
  readonly faults: string;
}

interface Balancer {
  readonly program: Program;
  readonly port: number;
  readonly adminPort: number;
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      connections: { type: "string", default: "4000" },
      seconds: { type: "string", default: "110" },
      help: { type: "boolean", default: false },
    },
  });
  const picked = attacks.filter(({ name }) => values.only?.split(",").includes(name) ?? true);
  const connections = Number(values.connections);
  const seconds = Number(values.seconds);
  if (values.help || picked.length === 0 || !(connections >= 1) || !(seconds >= 1)) {
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
  const origin = await startOrigin(folder, 3);
  try {
    console.log(`${cpus().length} cores (${cpus()[0]?.model}), Linux ${release()}, Bun ${Bun.version}.`);
    console.log(`${connections} connections a time for ${seconds} s; ${1000 / every} good requests a second.\n`);
    console.log(
      "| | p50 ms | p99 ms | longest | failed | open at most | open at last | resident | in the kernel | CPU | faults |",
    );
    console.log("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
    for (const attack of picked) await strike(attack, folder, connections, seconds);
  } finally {
    await origin.stop();
    rmSync(folder, { recursive: true, force: true });
    await endTurn();
  }
  return 0;
}

async function strike(attack: Attack, folder: string, connections: number, seconds: number): Promise<void> {
  const balancer = await startBalancer(folder);
  let attacker: Program | undefined;
  try {
    await watch(balancer, 5);
    const quiet = await watch(balancer, quietSeconds);
    console.log(row(`before: quiet`, quiet));
    const url = `http://127.0.0.1:${balancer.port}${attack.path}`;
    const sizes = ["-c", `${connections}`, "-r", `${Math.ceil(connections / rampUp)}`, "-l", `${seconds}`, "-u", url];
    // Of low priority: the good client is on its core, and what is measured is the balancer.
    attacker = await startProgram(pinned(cores.load, ["nice", "-n", "19", "slowhttptest", ...attack.args, ...sizes]));
    const seen = await watch(balancer, seconds);
    console.log(row(`**${attack.what}**: p99 × ${(quantile(seen, 0.99) / quantile(quiet, 0.99)).toFixed(2)}`, seen));
  } finally {
    await attacker?.stop(3000);
    await balancer.program.stop(3000);
  }
}

async function startBalancer(folder: string): Promise<Balancer> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(folder, "plimsoll.yaml");
  const app = endpoints(3).map((each) => `"${each}"`);
  await Bun.write(
    file,
    `listeners: { web: { address: "127.0.0.1:${port}", routes: [{ pool: app }] } }
pools: { app: { endpoints: [${app.join(", ")}] } }
admin: { address: "127.0.0.1:${adminPort}" }
log: { access: none }
workers: 1
shutdown: { lag: 0s, window: 1s }
`,
  );
  const main = join(import.meta.dir, "../packages/cli/src/main.ts");
  const argv = pinned(cores.balancer, [process.execPath, main, "run", "-c", file]);
  return { program: await startProgram(argv, { ready: /^web http/, timeout: 60_000 }), port, adminPort };
}

/** Asks as the good client does for so long, and looks at the balancer once a second. */
async function watch(balancer: Balancer, seconds: number): Promise<Seen> {
  const { program, port } = balancer;
  const kept: RawClient[] = [];
  const latencies: number[] = [];
  const asked: Promise<void>[] = [];
  let failures = 0;
  const ask = async (fresh: boolean): Promise<void> => {
    const from = performance.now();
    let client: RawClient | undefined;
    try {
      client = (fresh ? undefined : kept.pop()) ?? (await connectRaw(port, { timeout: 5000 }));
      await client.send(`GET / HTTP/1.1\r\nHost: good.example\r\n${fresh ? "Connection: close\r\n" : ""}\r\n`);
      const { status } = await client.readAnswer();
      if (status === 200) latencies.push(performance.now() - from);
      else failures++;
      if (!fresh && client.ending === "open") kept.push(client);
      else client.close();
    } catch {
      failures++;
      client?.close();
    }
  };
  const cpuBefore = cpuMicroseconds(program.pid);
  const faultsBefore = await faultsOf(balancer);
  let [most, left, memory, kernel] = [0, 0, 0, 0];
  const began = performance.now();
  let nextLook = 1000;
  for (let turn = 1; performance.now() - began < seconds * 1000; turn++) {
    asked.push(ask(turn % 2 === 0));
    if (performance.now() - began > nextLook) {
      nextLook += 1000;
      left = await openOf(balancer);
      most = Math.max(most, left);
      memory = Math.max(memory, residentMemory(program.pid));
      kernel = Math.max(kernel, await kernelMemory());
    }
    await Bun.sleep(Math.max(0, began + turn * every - performance.now()));
  }
  await Promise.all(asked);
  for (const client of kept) client.close();
  const cpu = (cpuMicroseconds(program.pid) - cpuBefore) / (performance.now() - began) / 1000;
  const now = await faultsOf(balancer);
  const news = [...now].map(([code, count]) => [code, count - (faultsBefore.get(code) ?? 0)] as const);
  const told = news.filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  const faults = told.map(([code, count]) => `${count} ${code}`).join(", ");
  return { latencies: latencies.sort((a, b) => a - b), failures, most, left, memory, kernel, cpu, faults };
}

async function metricsOf({ adminPort }: Balancer): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
}

async function openOf(balancer: Balancer): Promise<number> {
  return Number(/^plimsoll_listener_connections_open\{.*\} (\d+)$/m.exec(await metricsOf(balancer))?.[1] ?? 0);
}

async function faultsOf(balancer: Balancer): Promise<ReadonlyMap<string, number>> {
  const found = (await metricsOf(balancer)).matchAll(/^plimsoll_faults_total\{.*code="([a-z-]+)".*\} (\d+)$/gm);
  return new Map([...found].map(([, code = "", count]) => [code, Number(count)]));
}

/** Bytes in TCP buffers of the whole machine: they count for no process. */
async function kernelMemory(): Promise<number> {
  const pages = /^TCP: .* mem (\d+)$/m.exec(await Bun.file("/proc/net/sockstat").text())?.[1] ?? "0";
  return Number(pages) * 4096;
}

function quantile({ latencies }: Seen, share: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
}

function row(name: string, seen: Seen): string {
  const ms = (share: number): string => quantile(seen, share).toFixed(2);
  const mib = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(0)} MiB`;
  const cells = [
    name,
    ms(0.5),
    ms(0.99),
    ms(1),
    seen.failures,
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

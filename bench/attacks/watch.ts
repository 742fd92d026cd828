// What a client that means well sees while somebody attacks, and what the machine has to do meanwhile.
import { connectRaw, type RawClient } from "@plimsoll/testbed/raw-client";
import { firstPort } from "../origin.ts";
import { cpuMicroseconds, residentMemory } from "../usage.ts";
import type { Balancer } from "./balancers.ts";

/** Ms between two requests of the client that means well, and of the witness. */
export const every = 10;
const everyDirect = 40;

/**
 * Seconds between two looks at processes and kernel. Each holds this process up for 10 ms or so, and with it the clients in it: once a
 * second would be all that a p99 of a hundred requests a second shows.
 */
const lookEvery = 5;

/** Answers of one client, as they came. */
interface Taken {
  /** Ms since the beginning at which each was asked for, and how long it took. */
  readonly asked: number[];
  readonly took: number[];
  failures: number;
}

/** What was seen during one attack, or without one. */
export interface Seen {
  readonly good: Taken;
  /** Who asks the origin past the balancer: how slow the machine itself has become. */
  readonly direct: Taken;
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

/**
 * Asks as the good client does for so long, and looks at everything now and then; with `tell` once a second, which gets a line of
 * each look.
 */
export async function watch(balancer: Balancer, seconds: number, tell?: (line: string) => void): Promise<Seen> {
  const { program } = balancer;
  const began = performance.now();
  const faultsBefore = await balancer.faults();
  const cpuBefore = cpuMicroseconds(program.pid);
  const asking = [
    keepAsking(balancer.port, every, began, seconds, true),
    keepAsking(firstPort, everyDirect, began, seconds, false),
  ] as const;
  const good = asking[0].taken;
  const direct = asking[1].taken;
  let [most, left, memory, kernel] = [0, 0, 0, 0];
  let [cpuThen, countersThen] = [cpuBefore, await counters()];
  for (let second = 1; second <= seconds; second++) {
    await Bun.sleep(Math.max(0, began + second * 1000 - performance.now()));
    if (tell === undefined && second % lookEvery !== 0 && second < seconds) continue;
    left = await balancer.open();
    most = Math.max(most, left);
    const [resident, buffers] = [residentMemory(program.pid), await kernelMemory()];
    memory = Math.max(memory, resident);
    kernel = Math.max(kernel, buffers);
    if (tell === undefined) continue;
    const [cpuNow, countersNow] = [cpuMicroseconds(program.pid), await counters()];
    const ms = (taken: Taken): string => quantile(since(taken, second - 1), 0.99).toFixed(1);
    const news = countersNow.map(([name, count], at) => [name, count - (countersThen[at]?.[1] ?? 0)] as const);
    const told = news.flatMap(([name, count]) => (count > 0 ? [`${name} ${count}`] : [])).join(" ");
    tell(
      `${second} s: p99 ${ms(good)} ms, direct ${ms(direct)} ms, open ${left}, resident ${mib(resident)}, ` +
        `in the kernel ${mib(buffers)}, CPU ${((cpuNow - cpuThen) / 10_000).toFixed(0)} % ${told}`,
    );
    [cpuThen, countersThen] = [cpuNow, countersNow];
  }
  await Promise.all(asking.map(({ done }) => done));
  const cpu = (cpuMicroseconds(program.pid) - cpuBefore) / (performance.now() - began) / 1000;
  const now = await balancer.faults();
  const news = [...now].map(([code, count]) => [code, count - (faultsBefore.get(code) ?? 0)] as const);
  const told = news.filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  const faults = told.map(([code, count]) => `${count} ${code}`).join(", ");
  return { good, direct, most, left, memory, kernel, cpu, faults };
}

/** Milliseconds that so much of the answers took at most. */
export function quantile(took: readonly number[], share: number): number {
  const sorted = took.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function mib(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(0)} MiB`;
}

function since({ asked, took }: Taken, second: number): number[] {
  return took.filter((_, at) => (asked[at] ?? 0) >= second * 1000);
}

/** Asks at a fixed rate, whatever becomes of the answers; `mixed`: half of it on new connections. */
function keepAsking(
  port: number,
  pause: number,
  began: number,
  seconds: number,
  mixed: boolean,
): { readonly taken: Taken; readonly done: Promise<void> } {
  const kept: RawClient[] = [];
  const taken: Taken = { asked: [], took: [], failures: 0 };
  const ask = async (fresh: boolean): Promise<void> => {
    const from = performance.now();
    let client: RawClient | undefined;
    try {
      client = (fresh ? undefined : kept.pop()) ?? (await connectRaw(port, { timeout: 5000 }));
      await client.send(`GET / HTTP/1.1\r\nHost: good.example\r\n${fresh ? "Connection: close\r\n" : ""}\r\n`);
      const { status } = await client.readAnswer();
      if (status === 200) {
        taken.asked.push(from - began);
        taken.took.push(performance.now() - from);
      } else taken.failures++;
      if (!fresh && client.ending === "open") kept.push(client);
      else client.close();
    } catch {
      taken.failures++;
      client?.close();
    }
  };
  const run = async (): Promise<void> => {
    const asked: Promise<void>[] = [];
    for (let turn = 1; performance.now() - began < seconds * 1000; turn++) {
      asked.push(ask(mixed && turn % 2 === 0));
      await Bun.sleep(Math.max(0, began + turn * pause - performance.now()));
    }
    await Promise.all(asked);
    for (const client of kept) client.close();
  };
  return { taken, done: run() };
}

/** Bytes in TCP buffers of the whole machine: they count for no process. */
async function kernelMemory(): Promise<number> {
  const pages = /^TCP: .* mem (\d+)$/m.exec(await Bun.file("/proc/net/sockstat").text())?.[1] ?? "0";
  return Number(pages) * 4096;
}

/** What the kernel counts when it is short of memory for TCP, and what that does to connections. */
const told = ["TCPMemoryPressures", "PruneCalled", "RcvPruned", "TCPRcvQDrop", "TCPBacklogDrop", "TCPTimeouts"];

async function counters(): Promise<readonly (readonly [string, number])[]> {
  const lines = (await Bun.file("/proc/net/netstat").text()).split("\n").filter((line) => line.startsWith("TcpExt:"));
  const [names, values] = lines.map((line) => line.split(" "));
  return told.map((name) => [name, Number(values?.[names?.indexOf(name) ?? -1] ?? 0)]);
}

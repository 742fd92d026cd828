// Descriptors run out for real: the program is started with a low limit and more clients come than it has room for.
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Socket } from "bun";
import { renderStatus } from "../../../packages/cli/src/live-status.ts";
import { cleanUp, configFor, later, run, startOrigin, until } from "./running.ts";

afterEach(cleanUp);

/** A client that connects, and asks when it is told to. */
interface Client {
  readonly socket: Socket<undefined>;
  answered: boolean;
}

async function connect(port: number): Promise<Client> {
  const seen = { answered: false };
  const socket = await Bun.connect<undefined>({
    hostname: "127.0.0.1",
    port,
    socket: {
      data() {
        seen.answered = true;
      },
    },
  });
  later(() => socket.terminate());
  return Object.assign(seen, { socket });
}

/** Processor time of a process so far, in ticks of a hundredth of a second. */
function ticks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

test("more clients than descriptors: accepting pauses without spinning, is told, and goes on; everybody is served", async () => {
  const program = await run(configFor(0, [startOrigin().port], { workers: 1 }), { files: 256 });
  expect((await program.told("program.limit")).text).toStartWith(
    "the limit of 256 open files leaves a worker room for about",
  );
  const port = await program.port();
  const clients: Client[] = [];
  while (clients.length < 300) clients.push(await connect(port));
  await until("it is told", () => program.event("worker.descriptors-short"));
  const paused = await program.status();
  expect(paused.workers[0]?.shortSince).toBeGreaterThan(0);
  expect(renderStatus(paused)).toContain("! worker 0 has had no descriptor for new connections");
  expect((await program.admin("GET", "/metrics")).text).toContain('plimsoll_worker_accept_paused{worker="0"} 1');
  const accepted = paused.listeners[0]?.openConnections ?? 0;
  expect(accepted).toBeGreaterThan(50);
  expect(accepted).toBeLessThan(256);
  // A loop that spins takes all of a core; what else runs here can only make this number smaller.
  const { pid = 0 } = paused.workers[0] ?? {};
  const [before, from] = [ticks(pid), performance.now()];
  await Bun.sleep(1_500);
  const used = ((ticks(pid) - before) * 10) / (performance.now() - from);
  expect(used).toBeLessThan(0.5);
  // Those who are in are served: an eighth of the room was kept for connections to endpoints.
  for (const { socket } of clients.slice(0, 5)) socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await until("they are answered", () => clients.slice(0, 5).every((client) => client.answered));
  // As some go, those who waited are let in, and served, in turn.
  for (const client of clients) {
    if (!client.answered) client.socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  }
  await until("everybody is answered", () => clients.every((client) => client.answered), 30_000);
  await until("it is over", () => program.event("worker.descriptors-enough"));
  const after = await program.status();
  expect(after.workers[0]?.shortSince).toBe(0);
  const metrics = (await program.admin("GET", "/metrics")).text;
  expect(metrics).toContain('plimsoll_worker_accept_paused{worker="0"} 0');
  expect(metrics).toMatch(/plimsoll_worker_accept_pauses_total\{worker="0"\} [1-9]/);
  expect(after.workerRestarts).toBe(0);
  // None was refused or reset: each has its answer, and no exchange ended in a fault.
  expect(after.pools[0]?.endpoints[0]?.failures).toBe(0);
}, 60_000);

test("a limit that is enough for what is configured is not mentioned, one that is not is", async () => {
  const config = (maxConnections: number) =>
    configFor(0, [startOrigin().port], {
      workers: 1,
      listeners: { web: { address: "127.0.0.1:0", limits: { maxConnections }, routes: [{ pool: "app" }] } },
    });
  const enough = await run(config(100), { files: 1024 });
  expect(enough.event("program.limit")).toBeUndefined();
  const few = await run(config(1000), { files: 1024 });
  expect(few.event("program.limit")?.text).toBe(
    "the limit of 1024 open files leaves a worker room for about 447 clients, and limits.maxConnections lets 1000 in; " +
      "when it is reached new ones wait. Raise it to 2129 or more (`ulimit -n`, LimitNOFILE in a systemd unit)",
  );
}, 60_000);

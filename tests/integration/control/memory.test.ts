// Memory runs out for real: the workers are given less than they need to start.
import { afterEach, expect, test } from "bun:test";
import type { Socket } from "bun";
import { renderStatus } from "../../../packages/cli/src/live-status.ts";
import { cleanUp, configFor, later, run, startOrigin, until } from "./running.ts";

afterEach(cleanUp);

interface Client {
  readonly socket: Socket<undefined>;
  received: string;
  closed: boolean;
}

async function connect(port: number, request: string): Promise<Client> {
  const seen = { received: "", closed: false };
  const socket = await Bun.connect<undefined>({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (each) => void each.write(request),
      data: (_, bytes) => void (seen.received += bytes.toString("latin1")),
      close: () => void (seen.closed = true),
    },
  });
  later(() => socket.terminate());
  return Object.assign(seen, { socket });
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

test("idle connections are closed, new ones wait, busy ones go on; and all is well when some have gone", async () => {
  const config = configFor(0, [startOrigin().port], { workers: 1, memory: "32MiB" });
  const program = await run(config);
  await until("it is told", () => program.event("worker.memory-high"));
  const port = await program.port();
  const idle = await connect(port, get("/"));
  await until("it is answered", () => idle.received.endsWith("hello"));
  await until("it is closed, as nothing is under way there", () => idle.closed);

  const busy: Client[] = [];
  while (busy.length < 100) busy.push(await connect(port, get("/slow/60000")));
  await until("nobody new is accepted", () => program.event("worker.memory-full"));
  const paused = await program.status();
  expect(paused.workers[0]?.fullSince).toBeGreaterThan(0);
  expect(renderStatus(paused)).toContain("! worker 0 has accepted nothing for");
  expect((await program.admin("GET", "/metrics")).text).toContain('plimsoll_worker_memory_full{worker="0"} 1');
  const late = await connect(port, get("/"));
  // The admin address answers all the time, and a beat has passed in between.
  await until("a beat", async () => (await program.status()).uptime > paused.uptime + 1_500);
  expect(late.received).toBe("");
  expect(busy.every(({ closed }) => !closed)).toBeTrue();

  for (const { socket } of busy.slice(0, 60)) socket.terminate();
  await until("it goes on", () => program.event("worker.memory-enough"));
  await until("whoever waited is answered", () => late.received.endsWith("hello"));
  expect((await program.status()).workers[0]?.fullSince).toBe(0);
}, 60_000);

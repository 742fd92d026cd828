// Workers die, hang and come back; clients of the others never notice.
import { afterEach, expect, test } from "bun:test";
import { startLoad } from "./load.ts";
import { cleanUp, configFor, isAlive, run, Running, startOrigin, until } from "./running.ts";

afterEach(cleanUp);

test("a worker killed with -9 under load is replaced within a second, and no connection is ever refused", async () => {
  const program = await run(configFor(0, [startOrigin().port]));
  const port = await program.port();
  const clients = 16;
  const load = startLoad({ port, clients, perConnection: 20 });
  const replaced: number[] = [];
  const kills = 6;
  for (let i = 0; i < kills; i++) {
    await until("both workers serve", async () => (await program.status()).workers.every((worker) => worker.serving));
    const before = program.count("worker.serving");
    const victim = (await program.status()).workers[i % 2]?.pid ?? 0;
    const at = performance.now();
    process.kill(victim, "SIGKILL");
    await until("another serves", () => program.count("worker.serving") > before);
    replaced.push(performance.now() - at);
  }
  const served = load.tally.answered;
  await until("the load goes on", () => load.tally.answered > served + 200);
  const tally = await load.stop();
  expect(tally.refused).toBe(0);
  expect([...tally.bad]).toEqual([]);
  // Only what the killed worker had in flight: at most one request of each client, each time.
  expect(tally.lost).toBeLessThanOrEqual(kills * clients);
  expect(tally.answered).toBe(tally.requests - tally.lost);
  // The issue's own figure, and the one timing this project promises in words; generous, for a busy machine.
  expect(replaced.toSorted((a, b) => a - b)[kills / 2]).toBeLessThan(1000);
  const { workerRestarts, pools, listeners } = await program.status();
  expect(workerRestarts).toBe(kills);
  // What the dead had in flight or open is forgotten; what they counted is not.
  await until("nothing is open", async () => (await program.status()).listeners[0]?.openConnections === 0);
  expect(pools[0]?.endpoints[0]?.inFlight).toBe(0);
  expect(listeners[0]?.requests).toBeGreaterThan(0);
}, 30_000);

test("a worker that hangs is killed and replaced", async () => {
  const program = await run(configFor(0, [startOrigin().port]), { stuckAfter: 2 });
  const [first] = (await program.status()).workers;
  process.kill(first?.pid ?? 0, "SIGSTOP");
  await until("it is noticed", () => program.event("worker.stuck"));
  await until("another serves", async () => {
    const [now] = (await program.status()).workers;
    return now?.serving === true && now.pid !== first?.pid;
  });
  await until("the old one is gone", () => !isAlive(first?.pid ?? 0));
  expect((await program.status()).workerRestarts).toBe(1);
}, 20_000);

test("when the supervisor is killed, workers finish what is in flight and exit", async () => {
  const program = await run(configFor(0, [startOrigin("late").port]));
  const port = await program.port();
  const workers = program.workerPids();
  expect(workers.length).toBe(2);
  const answer = fetch(`http://127.0.0.1:${port}/slow/500`).then((each) => each.text());
  await until("it is in flight", async () => (await program.status()).pools[0]?.endpoints[0]?.inFlight === 1);
  program.process.kill("SIGKILL");
  expect(await answer).toBe("late");
  await until("all workers are gone", () => !workers.some(isAlive));
}, 20_000);

test("a worker that cannot start ends the program with the reason, and leaves nothing", async () => {
  const worker = `${import.meta.dir}/crashing-worker.ts`;
  const program = new Running(configFor(0, [1]), { worker });
  expect(await program.process.exited).toBe(1);
  await until("it says why", () => program.event("start.failed"));
  expect((await program.told("start.failed")).text).toMatch(/worker [01] does not start: exited with code 3/);
  expect([...new Bun.Glob("*").scanSync({ cwd: program.runtime, onlyFiles: false })]).toEqual([]);
}, 20_000);

test("connections are spread evenly over workers", async () => {
  const workers = 3;
  const program = await run(configFor(0, [startOrigin().port], { workers }));
  const load = startLoad({ port: await program.port(), clients: 12, perConnection: 1 });
  await until("enough are made", () => load.tally.connections >= 3_000, 30_000);
  await load.stop();
  const status = await program.status();
  const counts = status.workers.map((worker) => worker.connections);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(load.tally.connections);
  // The kernel draws by a hash of both addresses: a third each, with a standard deviation of 26.
  const share = load.tally.connections / workers;
  for (const count of counts) expect(Math.abs(count - share)).toBeLessThan(share * 0.2);
}, 60_000);

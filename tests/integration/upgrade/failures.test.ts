// What can go wrong in the middle of an upgrade: the old program is killed, before and after it gave its sockets; the new one does
// not last; two are asked for at once. Whatever it is, nobody waits for somebody who is gone, and what is said of it is right.
import { afterEach, expect, test } from "bun:test";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leaveOrder } from "../../../packages/balancer/src/control/runtime-directory.ts";
import { startLoad } from "../control/load.ts";
import { cleanUp, configFor, folder, isAlive, run, startOrigin, until, type Running } from "../control/running.ts";

afterEach(cleanUp);

const entry = join(import.meta.dir, "../control/program.ts");

/** An executable that does as the script says. */
function script(lines: string): string {
  const path = join(folder(), "plimsoll");
  writeFileSync(path, `#!/bin/sh\n${lines}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** The same program with other workers. */
const withWorker = (name: string) => script(`exec ${process.execPath} ${entry} "$1" 10 ${join(import.meta.dir, name)}`);

function upgrade(program: Running, binary: string | null) {
  leaveOrder(program.note(), { binary, patience: 30_000 });
  return program.admin("POST", "/upgrade");
}

const get = async (port: number, path = "/") =>
  (await fetch(`http://127.0.0.1:${port}${path}`, { keepalive: false })).text();

async function refuses(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.terminate();
    return false;
  } catch {
    return true;
  }
}

test("the old program is killed after it gave its sockets: the new one takes over, and no connection is refused or lost", async () => {
  const program = await run(configFor(0, [startOrigin().port, startOrigin().port]));
  const port = await program.port();
  const { pid, admin } = program.note();
  const load = startLoad({ port, clients: 8, perConnection: 3 });
  await until("it is used", () => load.tally.answered > 100);
  const asked = upgrade(program, withWorker("slow-worker.ts")).catch((error: Error) => error);
  // It has made a directory of its own: so it has been given everything, and its workers are not up yet.
  await until("the new one comes up", () => readdirSync(program.runtime).length === 2);
  process.kill(pid, "SIGKILL");
  expect(await asked).toBeInstanceOf(Error);
  await until("the new one serves", () => program.count("program.ready") === 2, 30_000);
  const { requests } = load.tally;
  await until("it is used", () => load.tally.requests > requests + 200);
  const tally = await load.stop();
  expect([tally.refused, tally.lost, [...tally.bad]]).toEqual([0, 0, []]);
  expect((await program.told("upgrade.done")).text).toEndWith(
    `process ${pid}, version test, which was gone before it let go`,
  );
  const note = program.note();
  expect([note.replaces, note.admin]).toEqual([pid, admin]);
  expect((await program.status()).workers.every(({ serving }) => serving)).toBe(true);
  // What the killed one left is gone with the next start, and its workers have ended by themselves.
  expect((await upgrade(program, null)).status).toBe(200);
  await until("only the last one is left", () => readdirSync(program.runtime).length === 1);
  const [live] = readdirSync(program.runtime);
  expect(live).toStartWith(`plimsoll-${program.note().pid}-`);
}, 90_000);

test("the old program is killed before it gave anything: the new one leaves with a reason, and the address is free", async () => {
  const origin = startOrigin("late").port;
  const program = await run(configFor(0, [origin]));
  const port = await program.port();
  const { pid } = program.note();
  const workers = program.workerPids();
  const late = get(port, "/slow/1500");
  await until("it is in flight", async () => (await program.status()).pools[0]?.endpoints[0]?.inFlight === 1);
  const asked = upgrade(program, script(`sleep 1; exec ${process.execPath} ${entry} "$@"`)).catch(
    (error: Error) => error,
  );
  await until("it is under way", () => program.event("upgrade.begun"));
  process.kill(pid, "SIGKILL");
  expect(await asked).toBeInstanceOf(Error);
  // The workers finish what they have.
  expect(await late).toBe("late");
  await until("the workers are gone", () => !workers.some(isAlive));
  await program.read;
  expect(program.output.join("")).toContain("/handover: the system says ECONNREFUSED");
  expect(await refuses(port)).toBe(true);
  const again = await run(configFor(port, [origin]));
  expect(await get(port)).toBe("late");
  expect(again.note().pid).not.toBe(pid);
}, 60_000);

test("a new version whose workers end as soon as they serve is not let take over", async () => {
  const program = await run(configFor(0, [startOrigin().port]));
  const port = await program.port();
  const { pid } = program.note();
  const answer = await upgrade(program, withWorker("frail-worker.ts"));
  expect(answer.status).toBe(422);
  expect(answer.json["error"]).toMatch(
    /^the new program does not start: worker \d exited with code 9 soon after it began to serve$/,
  );
  expect(program.count("program.replaced")).toBe(0);
  await until("nothing of it is left", () => readdirSync(program.runtime).length === 1);
  expect([program.note().pid, (await program.status()).readiness]).toEqual([pid, "ready"]);
  const load = startLoad({ port, clients: 4, perConnection: 2 });
  await until("the old one goes on", () => load.tally.answered > 200);
  const tally = await load.stop();
  expect([tally.refused, tally.lost, tally.bad.size]).toEqual([0, 0, 0]);
}, 60_000);

test("a new program that is killed right after it took over: the old one finishes what it has, and nobody hangs", async () => {
  const origin = startOrigin("late").port;
  const program = await run(configFor(0, [origin]));
  const port = await program.port();
  const late = get(port, "/slow/4000");
  await until("it is in flight", async () => (await program.status()).pools[0]?.endpoints[0]?.inFlight === 1);
  const answer = await upgrade(program, null);
  expect(answer.status).toBe(200);
  process.kill(Number(answer.json["pid"]), "SIGKILL");
  expect(await late).toBe("late");
  // In order: what became of the other one is not its doing.
  expect(await program.process.exited).toBe(0);
  await until("all workers have ended by themselves", () => !program.workerPids().some(isAlive));
  expect(await refuses(port)).toBe(true);
  expect(() => program.note()).toThrow("no program has told that it runs");
  await run(configFor(port, [origin]));
  expect(await get(port)).toBe("late");
}, 60_000);

test("two at the same time, by signal and over the API: one is made, the others are refused, and one program is left", async () => {
  const program = await run(configFor(0, [startOrigin().port]));
  const port = await program.port();
  const { pid, admin } = program.note();
  const load = startLoad({ port, clients: 6, perConnection: 2 });
  const ask = async () => (await fetch(`${admin}/upgrade`, { method: "POST" })).status;
  process.kill(pid, "SIGUSR2");
  const statuses = await Promise.all([ask(), ask(), ask()]);
  await until("it has been replaced", () => program.note().pid !== pid);
  await until("the old one is gone", () => !isAlive(pid));
  const { requests } = load.tally;
  await until("the new one is used", () => load.tally.requests > requests + 100);
  const tally = await load.stop();
  expect([tally.refused, tally.lost, tally.bad.size]).toEqual([0, 0, 0]);
  // Of the four one was made; by whom it was asked for first is chance.
  expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(1);
  expect(statuses.filter((status) => status !== 200).every((status) => status === 409)).toBe(true);
  expect(["upgrade.begun", "upgrade.done", "upgrade.refused"].map((name) => program.count(name))).toEqual([1, 1, 3]);
  expect(readdirSync(program.runtime).length).toBe(1);
}, 60_000);

test("a configuration that is broken leaves the old program serving, and the next one takes over when it is mended", async () => {
  const origin = startOrigin().port;
  const good = configFor(0, [origin]);
  const program = await run(good);
  const port = await program.port();
  const { pid } = program.note();
  const load = startLoad({ port, clients: 6, perConnection: 4 });
  const broken: readonly (readonly [config: object | string, says: RegExp])[] = [
    ["listeners: [", /the configuration has errors/],
    [configFor(0, [origin], { pools: {} }), /the configuration has errors/],
    [
      configFor(0, [origin], {
        listeners: {
          web: {
            address: "127.0.0.1:0",
            tls: { certificates: [{ cert: "/nowhere/a.crt", key: "/nowhere/a.key" }] },
            routes: [{ pool: "app" }],
          },
        },
      }),
      /the configuration has errors/,
    ],
    [configFor(0, [origin], { log: { access: "/nowhere/access.log" } }), /the configuration has errors/],
  ];
  for (const [config, says] of broken) {
    program.configure(config);
    const answer = await upgrade(program, null);
    expect([answer.status, answer.json["error"]]).toEqual([422, expect.stringMatching(says)]);
    expect((await program.status()).lastUpgrade).toMatchObject({ ok: false, problem: expect.stringMatching(says) });
    expect(program.note().pid).toBe(pid);
  }
  await until("nothing of them is left", () => readdirSync(program.runtime).length === 1);
  program.configure(good);
  expect((await upgrade(program, null)).status).toBe(200);
  const { requests } = load.tally;
  await until("the new one is used", () => load.tally.requests > requests + 100);
  const tally = await load.stop();
  expect([tally.refused, tally.lost, tally.bad.size]).toEqual([0, 0, 0]);
}, 90_000);

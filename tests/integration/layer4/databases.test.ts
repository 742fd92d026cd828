// PostgreSQL and Redis through a TCP listener, with their own clients: what they say is what they say without the balancer,
// and when one of two instances is stopped in the middle, what can go on goes on.
// Needs: psql, pgbench, redis-server, redis-cli, redis-benchmark
import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startProgram } from "@plimsoll/testbed/processes";
import { systemClock, systemTimers } from "../../../packages/balancer/src/net/clock.ts";
import { createBunTransport } from "../../../packages/balancer/src/net/bun-transport.ts";
import { runCommand } from "../../../packages/balancer/src/net/run-command.ts";
import { shakeHands } from "../../../packages/balancer/src/net/tls-handshake.ts";
import { readiness } from "../../../packages/balancer/src/pool/fixtures.ts";
import type { ProbeName, ReadinessPlan } from "../../../packages/balancer/src/pool/plan.ts";
import { makeProbes } from "../../../packages/balancer/src/pool/probe/table.ts";
import { cleanUp, folder, later, run, type Running, until } from "../control/running.ts";
import { client, type Said } from "./clients.ts";
import { startPostgres, startRedis } from "./servers.ts";

afterEach(cleanUp);

const psql = (port: number, sql: string): Promise<Said> =>
  client([
    "psql",
    "-X",
    "-A",
    "-t",
    "-v",
    "ON_ERROR_STOP=1",
    `host=127.0.0.1 port=${port} user=shop dbname=postgres`,
    "-c",
    sql,
  ]);
const redis = (port: number, ...words: readonly string[]): Promise<Said> =>
  client(["redis-cli", "-h", "127.0.0.1", "-p", String(port), ...words]);

/** A balancer that passes on to these ports in turn. */
async function balancer(
  ports: readonly number[],
  how: object,
): Promise<{ readonly port: number; readonly running: Running }> {
  const running = await run({
    listeners: { web: { address: "127.0.0.1:0", protocol: "tcp", routes: [{ pool: "app" }] } },
    pools: {
      app: {
        endpoints: ports.map((port) => `127.0.0.1:${port}`),
        balance: "roundRobin",
        readiness: { interval: "500ms", timeout: "500ms", fastInterval: "100ms", ...how },
      },
    },
    admin: { address: "127.0.0.1:0" },
    log: { access: "none" },
    shutdown: { lag: "0s", window: "1s" },
    workers: 1,
  });
  return { port: await running.port(), running };
}

/** How many of `count` clients, four at a time, failed; `between` is called after each with the number that is done. */
async function many(
  count: number,
  one: () => Promise<Said>,
  between: (done: number) => void = () => {},
): Promise<number> {
  let begun = 0;
  let done = 0;
  let failed = 0;
  const next = async (): Promise<void> => {
    while (begun < count) {
      begun++;
      if ((await one()).code !== 0) failed++;
      between(++done);
    }
  };
  await Promise.all([next(), next(), next(), next()]);
  return failed;
}

async function probe(name: ProbeName, port: number, plan: Partial<ReadinessPlan> = {}) {
  const network = { transport: createBunTransport(), clock: systemClock, timers: systemTimers, shakeHands, runCommand };
  return makeProbes(network)[name].run(
    { address: { kind: "tcp", host: "127.0.0.1", port } },
    { ...readiness, probe: name, timeout: 5_000, ...plan },
    new AbortController().signal,
  );
}

describe("PostgreSQL", () => {
  test("the probe sees a server that is ready, one that stops, and leaves no complaint about broken connections", async () => {
    const { servers, remove } = await startPostgres(1);
    later(remove);
    const [server] = servers;
    if (server === undefined) throw new Error("there is no server");
    const login = { user: "shop", password: "", database: "postgres" };
    expect(await probe("postgres", server.port, { login })).toMatchObject({ ok: true });
    // Nobody of that name: turned away, by a server that works.
    expect(await probe("postgres", server.port)).toMatchObject({ ok: true });
    await psql(server.port, "select 1");
    expect(server.program.output).not.toMatch(/unexpected EOF|incomplete startup|could not receive/);
    await server.stop();
    expect(await probe("postgres", server.port, { login })).toMatchObject({ ok: false });
  }, 60_000);

  test("results of any size come through, and one of two may stop in the middle", async () => {
    const { servers, remove } = await startPostgres(2);
    later(remove);
    const [first, second] = servers;
    if (first === undefined || second === undefined) throw new Error("there are not two servers");
    const login = { user: "shop", database: "postgres" };
    const { port, running } = await balancer([first.port, second.port], { probe: "postgres", login });
    const ports = new Set<string>();
    for (let i = 0; i < 4; i++) ports.add((await psql(port, "select inet_server_port()")).text.trim());
    expect([...ports].sort()).toEqual([String(first.port), String(second.port)].sort());
    const big = await psql(
      port,
      "select sum(length(x)) from (select repeat(md5(i::text), 1000) x from generate_series(1, 200) i) t; select repeat('x', 8000000)",
    );
    expect(big.code).toBe(0);
    expect(
      big.text
        .trim()
        .split("\n")
        .map((line) => line.length),
    ).toEqual([7, 8_000_000]);

    const script = join(folder(), "select.sql");
    writeFileSync(script, "select 1;\n");
    // Sessions that last: eight, four at each server.
    const bench = await startProgram([
      ...["pgbench", "-n", "-c", "8", "-j", "1", "-T", "60", "-h", "127.0.0.1", "-p", String(port), "-U", "shop"],
      // pgbench's own scripts want its tables.
      ...["-f", script, "postgres"],
    ]);
    later(() => bench.kill());
    const sessions = async (): Promise<number> =>
      Number(
        (await psql(second.port, "select count(*) from pg_stat_activity where application_name = 'pgbench'")).text,
      );
    await until("four sessions are at the second server", async () => (await sessions()) === 4);
    const executed = async (): Promise<number> =>
      Number((await psql(second.port, "select xact_commit from pg_stat_database where datname = 'postgres'")).text);

    // New ones all the while; only those that are at the first server when it stops may fail.
    let stopped: Promise<void> | null = null;
    let during = 0;
    await many(
      40,
      async () => {
        const said = await psql(port, "select 1");
        if (said.code !== 0) during++;
        return said;
      },
      (done) => {
        if (done === 10) stopped = first.stop();
      },
    );
    await stopped;
    expect(during).toBeLessThan(30);
    expect(await many(20, () => psql(port, "select 1"))).toBe(0);
    expect(await sessions()).toBe(4);
    const before = await executed();
    await until("the sessions at the second server go on", async () => (await executed()) > before + 100);
    await until("the first server is known to be out", () => running.event("endpoint.unready"));
    expect(await many(8, () => psql(port, "select 1"))).toBe(0);
  }, 120_000);
});

describe("Redis", () => {
  test("the probe logs in, and sees a server that wants a password and gets none", async () => {
    const server = await startRedis("hunter2");
    later(() => server.program.kill());
    const login = { user: "", password: "hunter2", database: "" };
    expect(await probe("redis", server.port, { login })).toMatchObject({ ok: true, detail: 'answered "+PONG"' });
    expect(await probe("redis", server.port)).toMatchObject({ ok: false });
    expect((await probe("redis", server.port)).detail).toContain("NOAUTH");
  }, 60_000);

  test("redis-benchmark runs through; one of two may stop in the middle", async () => {
    const [first, second] = [await startRedis(), await startRedis()];
    later(() => first.program.kill());
    later(() => second.program.kill());
    const { port, running } = await balancer([first.port, second.port], { probe: "redis" });
    const bench = (): Promise<Said> =>
      client([
        "redis-benchmark",
        "-h",
        "127.0.0.1",
        "-p",
        String(port),
        "-q",
        "-n",
        "5000",
        "-c",
        "20",
        "-d",
        "3000",
        "-t",
        "ping,set,get,lrange_100",
      ]);
    const whole = await bench();
    expect([whole.code, whole.text.match(/requests per second/g)?.length]).toEqual([0, 6]);
    // Each had its half of the connections.
    for (const each of [first, second]) {
      const info = (await redis(each.port, "info", "stats")).text;
      expect(Number(/total_connections_received:(\d+)/.exec(info)?.[1])).toBeGreaterThan(30);
    }
    let stopped: Promise<void> | null = null;
    await many(
      40,
      () => redis(port, "ping"),
      (done) => {
        if (done === 10) stopped = first.stop();
      },
    );
    await stopped;
    expect(await many(40, () => redis(port, "ping"))).toBe(0);
    expect((await bench()).code).toBe(0);
    await until("the first server is known to be out", () => running.event("endpoint.unready"));
    expect(await many(8, () => redis(port, "ping"))).toBe(0);
  }, 120_000);
});

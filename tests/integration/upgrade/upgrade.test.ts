// A new program takes over from the one that runs, or does not and nothing has changed.
import { afterEach, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "@plimsoll/testbed/certificates";
import { leaveOrder } from "../../../packages/balancer/src/control/runtime-directory.ts";
import { startLoad } from "../control/load.ts";
import {
  cleanUp,
  configFor,
  folder,
  isAlive,
  later,
  run,
  startOrigin,
  until,
  type Running,
} from "../control/running.ts";

afterEach(cleanUp);

const get = async (port: number, path = "/") => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { keepalive: false });
  return { status: answer.status, text: await answer.text() };
};

/** An executable that does as the script says. */
function script(lines: string): string {
  const path = join(folder(), "plimsoll");
  writeFileSync(path, `#!/bin/sh\n${lines}\n`);
  chmodSync(path, 0o755);
  return path;
}

async function upgrade(program: Running, binary: string | null = null, patience = 30_000) {
  leaveOrder(program.note(), { binary, patience });
  return program.admin("POST", "/upgrade");
}

/** The other program serves, and unless it is not to be waited for the old one is gone. */
async function upgraded(program: Running, wait = true): Promise<number> {
  const before = program.note().pid;
  const answer = await upgrade(program);
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
  const { pid } = program.note();
  expect(answer.json).toMatchObject({ ok: true, pid, replaced: before, version: "test" });
  expect(pid).not.toBe(before);
  if (wait) await until("the old one is gone", () => !isAlive(before));
  return pid;
}

test("five upgrades under load lose no request and refuse no connection; the port, the admin address and the note stay", async () => {
  const program = await run(configFor(0, [startOrigin().port, startOrigin().port]));
  const port = await program.port();
  const { admin } = program.note();
  const kept = startLoad({ port, clients: 6, perConnection: 1_000_000 });
  const fresh = startLoad({ port, clients: 6, perConnection: 3 });
  for (let turn = 0; turn < 5; turn++) {
    const { requests } = fresh.tally;
    const pid = await upgraded(program);
    expect(program.note().admin).toBe(admin);
    const status = await program.status();
    expect([status.pid, status.readiness, status.listeners[0]?.port]).toEqual([pid, "ready", port]);
    expect(status.workers.every((worker) => worker.serving)).toBe(true);
    expect(status.lastUpgrade).toMatchObject({ ok: true, problem: "" });
    await until("the new one is used", () => fresh.tally.requests > requests + 100);
  }
  for (const load of [kept, fresh]) {
    const tally = await load.stop();
    expect({ refused: tally.refused, lost: tally.lost, bad: [...tally.bad] }).toEqual({ refused: 0, lost: 0, bad: [] });
    expect(tally.answered).toBeGreaterThan(200);
  }
  // The first of them has exited in order, as its parent sees.
  expect(await program.process.exited).toBe(0);
  expect(program.count("worker.exited")).toBe(0);
  process.kill(program.note().pid, "SIGTERM");
  await until("the last one has stopped in order", () => program.count("program.stopped") === 6);
}, 120_000);

test("what is in flight at the old one is finished, and new requests are the new one's at once", async () => {
  const origin = startOrigin("late");
  const program = await run(configFor(0, [origin.port]));
  const port = await program.port();
  const late = get(port, "/slow/2500");
  await until("it is in flight", async () => (await program.status()).pools[0]?.endpoints[0]?.inFlight === 1);
  const old = program.note().pid;
  expect((await upgrade(program)).status).toBe(200);
  expect(isAlive(old)).toBe(true);
  expect(program.note().pid).not.toBe(old);
  expect((await get(port)).text).toBe("late");
  expect(await late).toEqual({ status: 200, text: "late" });
  expect(await program.process.exited).toBe(0);
}, 60_000);

test("what was counted goes on: totals never fall, and hold what the old one still answers; how long idle connections last is known", async () => {
  const origin = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (new URL(request.url).pathname === "/late") await Bun.sleep(2_500);
      return new Response("hello", { headers: { "keep-alive": "timeout=7" } });
    },
  });
  later(() => origin.stop(true));
  const program = await run(configFor(0, [origin.port ?? 0]));
  const port = await program.port();
  const idle = async () => (await program.status()).pools[0]?.hierarchy.observed.idle ?? 0;
  const answers = async () => {
    const { text } = await program.admin("GET", "/metrics");
    const value = (sample: RegExp) => Number(sample.exec(text)?.[1] ?? Number.NaN);
    return [
      value(/^plimsoll_listener_answers_total\{listener="web",class="2xx"\} (\d+)$/m),
      value(/^plimsoll_pool_duration_seconds_count\{pool="app"\} (\d+)$/m),
      value(/^plimsoll_endpoint_answers_total\{.*class="2xx"\} (\d+)$/m),
    ] as const;
  };
  let asked = 0;
  for (let turn = 0; turn < 2; turn++) {
    const load = startLoad({ port, clients: 4, perConnection: 2 });
    await until("it is used", () => load.tally.answered > 100);
    asked += (await load.stop()).answered;
    await until("its idle connections are known", async () => (await idle()) === 6_000);
    const [before] = await answers();
    expect(before).toBeGreaterThanOrEqual(asked);
    const late = get(port, "/late");
    await until("it is in flight", async () => (await program.status()).pools[0]?.endpoints[0]?.inFlight === 1);
    await upgraded(program, false);
    expect((await answers())[0]).toBeGreaterThanOrEqual(before);
    // No worker of the new one has seen an answer yet.
    expect(await idle()).toBe(6_000);
    expect((await late).text).toBe("hello");
    asked++;
    // To the last answer, and each once.
    await until("all are counted", async () => (await answers()).every((count) => count === asked));
  }
  expect((await program.status()).listeners[0]?.requests).toBe(asked);
}, 90_000);

test("SIGUSR2 does it too, and the configuration is read anew: another number of workers loses nothing", async () => {
  const origin = startOrigin().port;
  const program = await run(configFor(0, [origin], { workers: 3 }));
  const port = await program.port();
  const load = startLoad({ port, clients: 8, perConnection: 2 });
  for (const workers of [1, 4, 2]) {
    program.configure(configFor(0, [origin], { workers }));
    const { pid } = program.note();
    process.kill(pid, "SIGUSR2");
    await until("the other one serves", () => program.note().pid !== pid);
    await until("the old one is gone", () => !isAlive(pid));
    const { requests } = load.tally;
    await until("it is used", () => load.tally.requests > requests + 200);
    const status = await program.status();
    expect(status.workers.map((worker) => worker.serving)).toEqual(Array<boolean>(workers).fill(true));
  }
  const tally = await load.stop();
  expect([tally.refused, tally.lost, tally.bad.size]).toEqual([0, 0, 0]);
}, 120_000);

test("a new program that cannot be started, exits, hangs or refuses the configuration leaves the old one serving, and says why", async () => {
  const origin = startOrigin().port;
  const good = configFor(0, [origin]);
  const program = await run(good);
  const port = await program.port();
  const { pid } = program.note();
  const load = startLoad({ port, clients: 6, perConnection: 4 });
  const refused = async (binary: string | null, patience?: number) => {
    const answer = await upgrade(program, binary, patience);
    expect(answer.status).toBe(422);
    return answer.json["error"];
  };
  expect(await refused("/nowhere/plimsoll")).toContain("the new program cannot be started");
  expect(await refused(script("exit 3"))).toStartWith("the new program exited with code 3 before it served");
  expect(await refused(script("exec sleep 100"), 500)).toStartWith("the new program did not say anything within 500ms");
  program.configure({ ...good, workers: "many" });
  expect(await refused(null)).toBe("the new program does not start: the configuration has errors");
  program.configure({ ...good, admin: { address: `127.0.0.1:${origin}` } });
  expect(await refused(null)).toContain("the new program does not start: admin: cannot listen on");
  program.configure(configFor(origin, [origin]));
  expect(await refused(null)).toContain("EADDRINUSE");
  program.configure(good);
  const status = await program.status();
  expect([status.pid, status.readiness]).toEqual([pid, "ready"]);
  expect(status.lastUpgrade).toMatchObject({ ok: false });
  const { requests } = load.tally;
  await until("it goes on", () => load.tally.requests > requests + 200);
  const tally = await load.stop();
  expect([tally.refused, tally.lost, tally.bad.size]).toEqual([0, 0, 0]);
  // And after all that it still can be upgraded.
  await upgraded(program);
}, 120_000);

test("a new version whose workers do not come up leaves the old one serving; what the first ones took is finished", async () => {
  const origin = startOrigin().port;
  const program = await run(configFor(0, [origin]));
  const port = await program.port();
  const load = startLoad({ port, clients: 8, perConnection: 3 });
  const half = join(import.meta.dir, "half-worker.ts");
  const binary = script(`exec ${process.execPath} ${join(import.meta.dir, "../control/program.ts")} "$1" 10 ${half}`);
  const answer = await upgrade(program, binary);
  expect(answer.status).toBe(422);
  expect(answer.json["error"]).toContain("worker 1 does not start");
  await until("worker 0 of it had served", () => program.count("worker.serving") >= 3);
  const { requests } = load.tally;
  await until("the old one goes on", () => load.tally.requests > requests + 200);
  const tally = await load.stop();
  expect([tally.refused, tally.lost, tally.bad.size]).toEqual([0, 0, 0]);
}, 120_000);

test("what operators asked for is carried over, also what they ask while the other one comes up; nobody warms up again", async () => {
  const [one, two, three] = [startOrigin("one").port, startOrigin("two").port, startOrigin("three").port];
  const config = configFor(0, [one, two, three], {
    pools: {
      app: {
        endpoints: [one, two, three].map((origin) => `127.0.0.1:${origin}`),
        readiness: { path: "/", interval: "1s", timeout: "1s" },
        slowStart: "10m",
      },
    },
  });
  const program = await run(config);
  const port = await program.port();
  const set = (origin: number, state: string, window?: string) =>
    program.admin("POST", `/pools/app/endpoints/127.0.0.1:${origin}/state`, {
      state,
      ...(window === undefined ? {} : { window }),
    });
  expect((await set(one, "draining", "5m")).status).toBe(200);
  const before = (await program.status()).pools[0]?.endpoints[0];
  const slow = script(`sleep 1; exec ${process.execPath} ${join(import.meta.dir, "../control/program.ts")} "$@"`);
  const { pid } = program.note();
  const done = upgrade(program, slow);
  await until("it is under way", () => program.event("upgrade.begun"));
  expect((await set(two, "disabled")).status).toBe(200);
  expect((await done).status).toBe(200);
  expect(program.note().pid).not.toBe(pid);
  for (let i = 0; i < 30; i++) expect((await get(port)).text).toBe("three");
  const [a, b, c] = (await program.status()).pools[0]?.endpoints ?? [];
  expect([a?.state, b?.state, c?.state]).toEqual(["draining", "disabled", "ready"]);
  expect([a?.reason, a?.since]).toEqual([before?.reason, before?.since]);
  expect(Math.abs((a?.drain?.until ?? 0) - (before?.drain?.until ?? 0))).toBeLessThan(1_000);
  expect(c?.share).toBe(1);
  expect((await set(one, "ready")).status).toBe(200);
  // It comes back as one that was away: that is not forgotten either.
  await until("it is back", async () => ((await program.status()).pools[0]?.endpoints[0]?.share ?? 1) < 1);
}, 120_000);

test("one upgrade at a time, no reload meanwhile is lost, and a stop ends the one under way", async () => {
  const origin = startOrigin().port;
  const program = await run(configFor(0, [origin]));
  const hanging = script("exec sleep 100");
  const { pid } = program.note();
  const first = upgrade(program, hanging, 60_000);
  await until("it is under way", () => program.event("upgrade.begun"));
  const second = await program.admin("POST", "/upgrade");
  expect([second.status, second.json["error"]]).toEqual([409, "an upgrade is under way"]);
  process.kill(pid, "SIGTERM");
  expect((await first).json["error"]).toContain("this one was told to stop");
  expect(await program.process.exited).toBe(0);
}, 60_000);

test("UDP: datagrams find the new program on the same port, and answers to earlier ones still arrive", async () => {
  // Echoes; what asks for it, a second later.
  const arrived: string[] = [];
  const origin = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes, port, address) {
        const text = bytes.toString();
        arrived.push(text);
        setTimeout(() => socket.send(text, port, address), text === "late" ? 1_000 : 0);
      },
      error() {},
    },
  });
  later(() => origin.close());
  const program = await run({
    listeners: { dns: { address: "127.0.0.1:0", protocol: "udp", routes: [{ pool: "app" }] } },
    pools: { app: { endpoints: [`127.0.0.1:${origin.port}`] } },
    admin: { address: "127.0.0.1:0" },
    log: { access: "none" },
    shutdown: { lag: "0s", window: "5s" },
    workers: 2,
  });
  const port = await program.port("dns");
  const heard: string[] = [];
  const client = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: { data: (_, bytes) => void heard.push(bytes.toString()), error() {} },
  });
  later(() => client.close());
  let count = 0;
  const ask = async (text: string) => {
    client.send(text);
    await until(`"${text}" is answered`, () => heard.includes(text));
    count++;
  };
  let asking = true;
  const steady = (async () => {
    for (let index = 0; asking; index++) await ask(`number ${index}`);
  })();
  await until("it is used", () => count > 20);
  // From a client of its own: a flow that waits for nothing but this.
  const patient: string[] = [];
  const other = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: { data: (_, bytes) => void patient.push(bytes.toString()), error() {} },
  });
  later(() => other.close());
  other.send("late");
  await until("it is at the origin", () => arrived.includes("late"));
  const { pid } = program.note();
  expect((await upgrade(program)).status).toBe(200);
  expect(program.note().pid).not.toBe(pid);
  const before = count;
  await until("the new one is used", () => count > before + 20);
  await until("the late answer arrives", () => patient.includes("late"));
  asking = false;
  await steady;
  expect((await program.status()).listeners[0]?.port).toBe(port);
  await until("the old one is gone", () => !isAlive(pid));
}, 60_000);

test("TLS: every handshake succeeds while the new program takes over", async () => {
  const made = await makeCertificate({ names: ["a.test"] });
  const base = folder();
  const [cert, key] = [join(base, "a.crt"), join(base, "a.key")];
  writeFileSync(cert, made.cert);
  writeFileSync(key, made.key, { mode: 0o600 });
  const tls = { certificates: [{ cert, key }] };
  const program = await run(
    configFor(0, [startOrigin().port], {
      listeners: { web: { address: "127.0.0.1:0", tls, routes: [{ pool: "app" }] } },
    }),
  );
  const port = await program.port();
  const failures: string[] = [];
  let answered = 0;
  let asking = true;
  const client = async () => {
    while (asking) {
      try {
        const answer = await fetch(`https://127.0.0.1:${port}/`, {
          keepalive: false,
          headers: { host: "a.test" },
          tls: { rejectUnauthorized: false, serverName: "a.test" },
        });
        if ((await answer.text()) === "hello") answered++;
        else failures.push(`status ${answer.status}`);
      } catch (error) {
        failures.push((error as Error).message);
      }
    }
  };
  const clients = Array.from({ length: 6 }, client);
  await until("it is used", () => answered > 50);
  await upgraded(program);
  const before = answered;
  await until("the new one is used", () => answered > before + 50);
  asking = false;
  await Promise.all(clients);
  expect(failures).toEqual([]);
}, 60_000);

// How the program ends, and what it tells of itself until then.
import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { startLoad } from "./load.ts";
import { cleanUp, configFor, folder, isAlive, run, Running, startOrigin, until } from "./running.ts";

afterEach(cleanUp);

test("SIGTERM: readiness turns first, requests go on during the lag and finish, exit code 0, nothing left", async () => {
  const program = await run(configFor(0, [startOrigin("late").port], { shutdown: { lag: "600ms", window: "5s" } }));
  const port = await program.port();
  expect((await program.admin("GET", "/readyz")).status).toBe(200);
  const load = startLoad({ port, clients: 4, perConnection: 5 });
  await until("load runs", () => load.tally.answered > 20);
  program.process.kill("SIGTERM");
  await until("it is not ready any more", async () => (await program.admin("GET", "/readyz")).status === 503);
  expect((await program.admin("GET", "/healthz")).status).toBe(200);
  // Still within the lag: new connections are served.
  const slow = fetch(`http://127.0.0.1:${port}/slow/900`);
  const tally = await load.stop();
  expect([tally.lost, tally.refused, tally.bad.size]).toEqual([0, 0, 0]);
  const answer = await slow;
  expect(answer.headers.get("connection")).toBe("close");
  expect(await answer.text()).toBe("late");
  expect(await program.process.exited).toBe(0);
  expect(program.workerPids().filter(isAlive)).toEqual([]);
  expect(readdirSync(program.runtime)).toEqual([]);
}, 20_000);

test("a second signal cuts what is left", async () => {
  const program = await run(configFor(0, [startOrigin().port], { shutdown: { lag: "0s", window: "30s" } }));
  const port = await program.port();
  const cut = fetch(`http://127.0.0.1:${port}/slow/20000`).catch((error: Error) => error);
  await until("it is in flight", async () => (await program.status()).pools[0]?.endpoints[0]?.inFlight === 1);
  program.process.kill("SIGINT");
  await until("it is stopping", () => program.event("program.stopping"));
  // The same Ctrl-C may arrive twice, from the terminal and from a launcher: only a later one is impatience.
  program.process.kill("SIGINT");
  await Bun.sleep(600);
  expect(program.process.exitCode).toBe(null);
  program.process.kill("SIGINT");
  expect(await program.process.exited).toBe(1);
  expect(await cut).toBeInstanceOf(Error);
  expect(program.workerPids().filter(isAlive)).toEqual([]);
  expect(readdirSync(program.runtime)).toEqual([]);
}, 20_000);

test("the end of the window cuts what is left, and says how much", async () => {
  const program = await run(configFor(0, [startOrigin().port], { shutdown: { lag: "0s", window: "300ms" } }));
  const port = await program.port();
  const cut = fetch(`http://127.0.0.1:${port}/slow/20000`).catch((error: Error) => error);
  await until("it is in flight", async () => (await program.status()).pools[0]?.endpoints[0]?.inFlight === 1);
  program.process.kill("SIGTERM");
  expect(await program.process.exited).toBe(0);
  expect(await cut).toBeInstanceOf(Error);
  expect((await program.told("worker.cut")).text).toBe("1 exchanges and tunnels are cut: the window of 300 ms is over");
}, 20_000);

test("POST /stop stops in order", async () => {
  const program = await run(configFor(0, [startOrigin().port]));
  expect((await program.admin("POST", "/stop")).status).toBe(202);
  expect(await program.process.exited).toBe(0);
}, 20_000);

test("SIGUSR1 opens the access log again, and no line is lost over rotation and stop", async () => {
  const program = await run(configFor(0, [startOrigin().port]));
  const path = join(program.runtime, "..", "access.log");
  program.process.kill("SIGTERM");
  await program.process.exited;
  const logged = await run(configFor(0, [startOrigin().port], { log: { access: path, format: "json" } }));
  const port = await logged.port();
  const ask = async (count: number) => {
    for (let i = 0; i < count; i++) await (await fetch(`http://127.0.0.1:${port}/${i}`)).text();
  };
  await ask(20);
  await until("lines are written", () => readFileSync(path, "latin1").split("\n").length === 21);
  renameSync(path, `${path}.1`);
  logged.process.kill("SIGUSR1");
  await until("the new file is there", () => existsSync(path));
  await ask(20);
  logged.process.kill("SIGTERM");
  expect(await logged.process.exited).toBe(0);
  const lines = [`${path}.1`, path].flatMap((file) => readFileSync(file, "latin1").trim().split("\n"));
  expect(lines.length).toBe(40);
  for (const line of lines)
    expect(JSON.parse(line)).toMatchObject({ listener: "web", pool: "app", status: 200, fault: "" });
}, 20_000);

test("two workers write to one pipe and tear no line", async () => {
  const program = await run(configFor(0, [startOrigin().port], { log: { access: "stdout", format: "json" } }));
  const load = startLoad({ port: await program.port(), clients: 8, perConnection: 100 });
  await until("enough is served", () => load.tally.answered > 2000);
  const tally = await load.stop();
  program.process.kill("SIGTERM");
  expect(await program.process.exited).toBe(0);
  await program.read;
  const lines = program.output.join("").trim().split("\n");
  expect(lines.length).toBe(tally.answered);
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ target: "/load", status: 200 });
}, 20_000);

test("the access log can change its place and format, and a place that cannot be written refuses the change", async () => {
  const base = folder();
  const origin = startOrigin().port;
  const config = (access: string, format: string) => configFor(0, [origin], { log: { access, format } });
  const program = await run(config(join(base, "a.log"), "json"));
  const port = await program.port();
  const ask = async () => void (await (await fetch(`http://127.0.0.1:${port}/x`)).text());
  const reload = async (to: object) => {
    program.configure(to);
    return program.admin("POST", "/reload");
  };
  await ask();
  const refused = await reload(config(join(base, "missing", "b.log"), "json"));
  expect(refused.status).toBe(422);
  expect(refused.text).toContain("cannot be opened: there is no folder");
  await ask();
  expect((await reload(config(join(base, "b.log"), "{method} {target} {status}"))).status).toBe(200);
  await ask();
  expect((await reload(config("none", "json"))).status).toBe(200);
  await ask();
  const status = (await program.admin("GET", "/metrics")).text;
  program.process.kill("SIGTERM");
  expect(await program.process.exited).toBe(0);
  expect(readFileSync(join(base, "a.log"), "latin1").trim().split("\n").length).toBe(2);
  expect(readFileSync(join(base, "b.log"), "latin1")).toBe("GET /x 200\n");
  expect(status).toContain("plimsoll_access_log_dropped_total 0");
}, 20_000);

test("a second program on the same address does not start, and says so", async () => {
  const origin = startOrigin().port;
  const first = await run(configFor(0, [origin]));
  const port = await first.port();

  const second = new Running(configFor(port, [origin]));
  expect(await second.process.exited).toBe(1);
  await until("it says why", () => second.event("start.failed"));
  expect(second.event("start.failed")?.text).toContain(`127.0.0.1:${port}`);
  expect(second.event("start.failed")?.text).toContain("EADDRINUSE");
}, 20_000);

test("nor does one whose admin address another program has", async () => {
  const origin = startOrigin().port;
  const first = await run(configFor(0, [origin]));
  const address = new URL(first.note().admin).host;

  const second = new Running(configFor(0, [origin], { admin: { address } }));
  expect(await second.process.exited).toBe(1);
  await until("it says why", () => second.event("start.failed"));
  expect(second.event("start.failed")?.text).toContain(`cannot listen on ${address}`);
}, 20_000);

test("an endpoint can be drained, disabled and enabled; all workers follow at once", async () => {
  const [one, two] = [startOrigin("one").port, startOrigin("two").port];
  const program = await run(configFor(0, [one, two]));
  const port = await program.port();
  const seen = async () => {
    const bodies = new Set<string>();
    for (let i = 0; i < 40; i++)
      bodies.add(await (await fetch(`http://127.0.0.1:${port}/`, { keepalive: false })).text());
    return [...bodies].sort();
  };
  expect(await seen()).toEqual(["one", "two"]);
  const set = (state: string) => program.admin("POST", `/pools/app/endpoints/127.0.0.1:${one}/state`, { state });
  for (const state of ["draining", "disabled"]) {
    expect((await set(state)).status).toBe(200);
    await Bun.sleep(100); // more than the interval at which workers look
    expect(await seen()).toEqual(["two"]);
    expect((await program.status()).pools[0]?.endpoints[0]?.state).toBe(state);
  }
  // An operator's word outlives a reload.
  program.configure(configFor(0, [one, two], { shutdown: { lag: "0s", window: "6s" } }));
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  expect(await seen()).toEqual(["two"]);
  expect((await set("ready")).status).toBe(200);
  await until("it is back", async () => (await seen()).length === 2);
  const lost = await program.admin("POST", "/pools/app/endpoints/nobody/state", { state: "ready" });
  expect(lost.status).toBe(404);
  expect(lost.text).toContain(`127.0.0.1:${two}`);
}, 20_000);

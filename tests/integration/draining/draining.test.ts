// Draining with real applications, workers and clients: what is in flight finishes, WebSockets are told, nothing is lost.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { startLoad } from "../control/load.ts";
import { cleanUp, configFor, run, type Running, until } from "../control/running.ts";
import { startProgram } from "../up/program.ts";
import { appCommand, ask, startApp, talks, tally, type App } from "./stage.ts";

setDefaultTimeout(60_000);
afterEach(cleanUp);

/** Everything goes to the first of these that is usable. */
function config(apps: readonly App[], window: string, more: Record<string, unknown> = {}): object {
  const pool = {
    endpoints: apps.map((each) => `127.0.0.1:${each.port}`),
    balance: "first",
    // Slow answers of a loaded machine are not what this is about.
    readiness: { path: "/readyz", interval: "1s", timeout: "1s", fall: 30 },
    drain: { window },
    // Who comes back has its full share at once.
    slowStart: "0s",
  };
  return configFor(0, [], { pools: { app: pool }, ...more });
}

async function start(apps: readonly App[], window: string, more: Record<string, unknown> = {}) {
  const program = await run(config(apps, window, more));
  return { program, url: `http://127.0.0.1:${await program.port()}` };
}

function setState(program: Running, { port }: App, state: string, window?: string) {
  const body = window === undefined ? { state } : { state, window };
  return program.admin("POST", `/pools/app/endpoints/127.0.0.1:${port}/state`, body);
}

const endpoint = async (program: Running, { port }: App) =>
  (await program.status()).pools[0]?.endpoints.find(({ id }) => id === `127.0.0.1:${port}`);

const named = (program: Running) =>
  program.events.map(({ event }) => event).filter((name) => /^endpoint\.(dr|cut|leav)/.test(name));

test("100 slow requests and 100 WebSockets: within the window none is cut, and the order is as documented", async () => {
  const [one, two] = [await startApp(), await startApp()];
  const { program, url } = await start([one, two], "20s");
  const sockets = await talks(url, 100);
  const slow = Array.from({ length: 100 }, () => ask(`${url}/slow/2000`));
  await until("all are in flight", async () => (await endpoint(program, one))?.inFlight === 200);
  expect((await setState(program, one, "draining")).status).toBe(200);
  const before = (await one.seen()).all;
  // From the answer on, nothing new goes there; and what goes elsewhere is not disturbed.
  const meanwhile = await Promise.all(Array.from({ length: 50 }, () => ask(url)));
  expect(tally(meanwhile)).toEqual({ [`200 pid ${two.pid}`]: 50 });
  const draining = await endpoint(program, one);
  expect(draining).toMatchObject({ state: "draining", idleConnections: 0, drain: { empty: false } });
  expect(draining?.oldest).toBeGreaterThan(0);
  expect(tally(await Promise.all(slow))).toEqual({ [`200 slow ${one.pid}`]: 100 });
  await until("all WebSockets have ended", () => sockets.every(({ code }) => code !== 0));
  expect(tally(sockets.map(({ code }) => code))).toEqual({ 1001: 100 });
  await until("it is told to be empty", () => program.event("endpoint.drained"));
  expect(named(program)).toEqual(["endpoint.draining", "endpoint.drained"]);
  await until("the application has seen all ends", async () => (await one.seen()).closes.length === 100);
  const seen = await one.seen();
  expect(tally(seen.closes)).toEqual({ 1001: 100 });
  expect(seen.all).toBe(before);
  const id = `pool="app",endpoint="127.0.0.1:${one.port}"`;
  const metrics = (await program.admin("GET", "/metrics")).text;
  expect(metrics).toContain(`plimsoll_endpoint_drain_closed_tunnels_total{${id}} 100\n`);
  expect(metrics).toContain(`plimsoll_endpoint_drain_cut_total{${id},kind="request"} 0\n`);
  expect(metrics).toContain(`plimsoll_endpoint_drain_cut_total{${id},kind="tunnel"} 0\n`);
  expect(await endpoint(program, one)).toMatchObject({ inFlight: 0, tunnels: 0, oldest: 0, drain: { empty: true } });
  expect((await setState(program, one, "ready")).status).toBe(200);
  expect(await ask(url)).toBe(`200 pid ${one.pid}`);
  expect(await endpoint(program, one)).toMatchObject({ state: "ready", drain: null });
});

test("at the end of the window what is left is cut, goes elsewhere or is answered for, counted and told by name", async () => {
  const [one, two] = [await startApp(), await startApp()];
  const { program, url } = await start([one, two], "60s");
  const slow = ask(`${url}/slow/30000`, "POST");
  const stuck = ask(`${url}/stuck`);
  await until("they are in flight", async () => (await endpoint(program, one))?.inFlight === 2);
  await setState(program, one, "draining");
  expect((await endpoint(program, one))?.drain).toMatchObject({ cut: { exchanges: 0, tunnels: 0 } });
  // Asked again with another window, that one counts.
  await setState(program, one, "draining", "400ms");
  const answer = await slow;
  expect(answer).toStartWith("503 ");
  expect(answer).toContain("drain-window-over");
  expect(await stuck).toBe(`200 pid ${two.pid}`);
  await until("it is told", () => program.event("endpoint.drained"));
  expect(named(program)).toEqual(["endpoint.draining", "endpoint.draining", "endpoint.cut", "endpoint.drained"]);
  expect(await program.told("endpoint.cut")).toMatchObject({
    level: "warn",
    exchanges: 2,
    tunnels: 0,
    endpoint: `127.0.0.1:${one.port}`,
  });
  expect((await endpoint(program, one))?.drain).toMatchObject({ empty: true, cut: { exchanges: 2, tunnels: 0 } });
  expect(await ask(url)).toBe(`200 pid ${two.pid}`);
});

test("an endpoint that leaves the configuration is drained, and under load nothing is lost", async () => {
  const [one, two] = [await startApp(), await startApp()];
  const { program, url } = await start([one, two], "20s");
  const sockets = await talks(url, 10);
  const slow = Array.from({ length: 10 }, () => ask(`${url}/slow/1500`));
  await until("all are in flight", async () => (await endpoint(program, one))?.inFlight === 20);
  const load = startLoad({ port: Number(new URL(url).port), clients: 8, perConnection: 50 });
  await until("load runs", () => load.tally.answered > 50);
  program.configure(config([two], "20s"));
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  expect((await program.status()).leaving).toMatchObject([{ pool: "app", id: `127.0.0.1:${one.port}`, empty: false }]);
  expect(tally(await Promise.all(slow))).toEqual({ [`200 slow ${one.pid}`]: 10 });
  await until("all WebSockets have ended", () => sockets.every(({ code }) => code !== 0));
  expect(tally(sockets.map(({ code }) => code))).toEqual({ 1001: 10 });
  await until("it is told to be empty", () => program.event("endpoint.drained"));
  expect(named(program)).toEqual(["endpoint.leaving", "endpoint.drained"]);
  expect((await program.status()).leaving).toEqual([]);
  const { lost, refused, bad } = await load.stop();
  expect([lost, refused, Object.fromEntries(bad)]).toEqual([0, 0, {}]);
});

test("the last endpoint: what is in flight finishes, what is new is answered with 503, until it is taken back", async () => {
  const one = await startApp();
  const { program, url } = await start([one], "20s");
  const slow = ask(`${url}/slow/700`);
  await until("it is in flight", async () => (await endpoint(program, one))?.inFlight === 1);
  const answer = await setState(program, one, "draining");
  expect(answer.json["othersInRotation"]).toBe(0);
  expect(await ask(url)).toMatch(/^503 .*pool-unusable/s);
  expect(await slow).toBe(`200 slow ${one.pid}`);
  await setState(program, one, "ready");
  expect(await ask(url)).toBe(`200 pid ${one.pid}`);
});

test("disabling closes and cuts nothing: what is in flight takes the time that it takes", async () => {
  const [one, two] = [await startApp(), await startApp()];
  const { program, url } = await start([one, two], "200ms");
  const [talk] = await talks(url, 1);
  const slow = ask(`${url}/slow/900`);
  await until("all are in flight", async () => (await endpoint(program, one))?.inFlight === 2);
  await setState(program, one, "disabled");
  expect(await ask(url)).toBe(`200 pid ${two.pid}`);
  expect(await slow).toBe(`200 slow ${one.pid}`);
  talk?.socket.send("still here");
  await until("it is echoed", () => talk?.heard === "still here");
  expect(talk?.code).toBe(0);
});

test("SIGTERM under load: readiness turns first, no request is lost, WebSockets are told, exit code 0", async () => {
  const [one, two] = [await startApp(), await startApp()];
  const web = { address: "127.0.0.1:0", readyPath: "/balancer-ready", routes: [{ pool: "app" }] };
  const { program, url } = await start([one, two], "20s", {
    listeners: { web },
    shutdown: { lag: "700ms", window: "20s" },
  });
  expect(await ask(`${url}/balancer-ready`)).toBe("200 ready");
  const sockets = await talks(url, 40);
  const slow = Array.from({ length: 20 }, () => ask(`${url}/slow/2500`));
  await until("all are in flight", async () => (await endpoint(program, one))?.inFlight === 60);
  const load = startLoad({ port: Number(new URL(url).port), clients: 16, perConnection: 40 });
  await until("load runs", () => load.tally.answered > 200);
  program.process.kill("SIGTERM");
  await until("it is not ready any more", async () => (await program.admin("GET", "/readyz")).status === 503);
  await until("the listener says so, too", async () => (await ask(`${url}/balancer-ready`)) === "503 stopping");
  const atTurn = load.tally.answered;
  // Whoever routes to us has heard of it by now, and still gets answers until it acts on it.
  await until("it goes on answering", () => load.tally.answered > atTurn + 100);
  // From the end of the lag on, connections are refused: nobody is left hanging.
  await until("it accepts no more", () => load.tally.refused > 0);
  const { lost, bad } = await load.stop();
  expect([lost, Object.fromEntries(bad)]).toEqual([0, {}]);
  expect(tally(await Promise.all(slow))).toEqual({ [`200 slow ${one.pid}`]: 20 });
  await until("all WebSockets have ended", () => sockets.every(({ code }) => code !== 0));
  expect(tally(sockets.map(({ code }) => code))).toEqual({ 1001: 40 });
  expect(await program.process.exited).toBe(0);
  expect(program.event("worker.cut")).toBeUndefined();
});

test("a rolling restart of three instances under load loses no request and tells every WebSocket", async () => {
  await using program = startProgram(["up", "-n", "3", "--port", "0", "--admin", "off", "--", ...appCommand]);
  const url = await program.says(/all 3 instances are ready behind (\S+)/);
  const load = startLoad({ port: Number(new URL(url).port), clients: 12, perConnection: 200 });
  await until("load runs", () => load.tally.answered > 200);
  const sockets = await talks(url, 30);
  const slow = Array.from({ length: 12 }, () => ask(`${url}/slow/1000`));
  program.signal("SIGHUP");
  await program.says(/all 3 instances are replaced/);
  expect(Object.keys(tally((await Promise.all(slow)).map((text) => text.slice(0, 8))))).toEqual(["200 slow"]);
  expect(tally(sockets.map(({ code }) => code))).toEqual({ 1001: 30 });
  const { lost, refused, bad } = await load.stop();
  expect([lost, refused, Object.fromEntries(bad)]).toEqual([0, 0, {}]);
  expect(program.err()).not.toContain("cut at the end");
  program.signal("SIGTERM");
  expect(await program.exited).toBe(0);
});

// Clients that come back, with real processes: several balancers with several workers each, restarts, reloads and drains.
import { afterEach, expect, test } from "bun:test";
import { cleanUp, configFor, later, run, until, type Running } from "../control/running.ts";

afterEach(cleanUp);

const secret = "a-secret-that-balancers-share";

/** An instance of an application that keeps its sessions to itself, as many do. */
function startShop(name: string): { readonly port: number; stop(): Promise<void> } {
  const sessions = new Set<string>();
  let made = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const cookies = request.headers.get("cookie") ?? "";
      const sid = /(?:^|; )sid=([^;]*)/.exec(cookies)?.[1] ?? "";
      const headers = new Headers({ "x-instance": name, "x-saw": cookies });
      if (sessions.has(sid)) return new Response("known", { headers });
      const fresh = `${name}-${++made}`;
      sessions.add(fresh);
      headers.append("set-cookie", `sid=${fresh}; Path=/; HttpOnly`);
      return new Response(sid === "" ? "new" : "lost", { headers });
    },
  });
  later(() => server.stop(true));
  return { port: server.port ?? 0, stop: () => server.stop(true) };
}

/** A browser: keeps cookies, and opens a connection for each request so that any worker may get it. */
class Browser {
  readonly jar = new Map<string, string>();
  instance = "";

  async ask(port: number): Promise<string> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(`http://127.0.0.1:${port}/`, {
      keepalive: false,
      headers: { connection: "close", ...(cookie === "" ? {} : { cookie }) },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.jar.set(name, value);
    }
    this.instance = answer.headers.get("x-instance") ?? "";
    expect(answer.headers.get("x-saw")).not.toContain("plimsoll");
    return await answer.text();
  }
}

function shopConfig(origins: readonly number[], sticky: object, workers = 2, drain: object = {}) {
  const endpoints = origins.map((port) => `127.0.0.1:${port}`);
  const app = { endpoints, readiness: { path: "/", interval: "100ms", timeout: "100ms" }, sticky, ...drain };
  return configFor(0, [], { pools: { app }, workers });
}

const byCookie = { cookie: "plimsoll", secret };

async function setState(program: Running, endpoint: number, state: string): Promise<void> {
  const path = `/pools/app/endpoints/${encodeURIComponent(`127.0.0.1:${endpoint}`)}/state`;
  expect((await program.admin("POST", path, { state })).status).toBe(200);
  await Bun.sleep(100); // more than the interval at which workers look
}

/** Browsers that have a session, at least one with every instance. */
async function browsers(port: number, instances: number): Promise<Browser[]> {
  const all: Browser[] = [];
  while (all.length < 12 || new Set(all.map(({ instance }) => instance)).size < instances) {
    const one = new Browser();
    expect(await one.ask(port)).toBe("new");
    all.push(one);
    if (all.length > 200) throw new Error("one instance never gets a client");
  }
  return all;
}

async function answers(all: readonly Browser[], port: number): Promise<string[]> {
  const seen: string[] = [];
  for (const one of all) seen.push(await one.ask(port));
  return [...new Set(seen)];
}

test("a session is found through every worker, through another balancer, and after restarts of both", async () => {
  const shops = ["a", "b", "c"].map(startShop);
  const config = shopConfig(
    shops.map(({ port }) => port),
    byCookie,
  );
  const [first, second] = [await run(config), await run(config)];
  const [here, there] = [await first.port(), await second.port()];
  const all = await browsers(here, 3);
  for (let round = 0; round < 3; round++) expect(await answers(all, here)).toEqual(["known"]);
  expect(await answers(all, there)).toEqual(["known"]);
  await first.admin("POST", "/stop");
  expect(await first.process.exited).toBe(0);
  const again = await run(config);
  expect(await answers(all, await again.port())).toEqual(["known"]);
  const metrics = (await again.admin("GET", "/metrics")).text;
  expect(metrics).toContain(`plimsoll_pool_sticky_hits_total{pool="app"} ${all.length}`);
  expect(metrics).toContain('plimsoll_pool_sticky_moved_total{pool="app"} 0');
}, 30_000);

test("secrets are rotated by reloads without losing anybody, and are shown nowhere", async () => {
  const shops = ["a", "b"].map(startShop);
  const ports = shops.map(({ port }) => port);
  const next = "the-secret-that-comes-next";
  const program = await run(shopConfig(ports, byCookie));
  const port = await program.port();
  const all = await browsers(port, 2);
  const before = all.map(({ jar }) => jar.get("plimsoll"));
  for (const secrets of [[secret, next], [next, secret], [next]]) {
    program.configure(shopConfig(ports, { ...byCookie, secret: secrets }));
    expect((await program.admin("POST", "/reload")).status).toBe(200);
    expect(await answers(all, await program.port())).toEqual(["known"]);
  }
  for (const [i, { jar }] of all.entries()) expect(jar.get("plimsoll")).not.toBe(before[i]);
  const shown = (await program.admin("GET", "/config")).text;
  expect(shown).toContain('"secrets"');
  const said = [shown, ...program.output, ...program.events.map((event) => JSON.stringify(event))].join("\n");
  for (const one of [secret, next]) expect(said).not.toContain(one);
  // Whoever missed the rotation is a stranger, once.
  const late = new Browser();
  late.jar.set("plimsoll", before[0]!);
  expect([await late.ask(port), await late.ask(port)]).toEqual(["new", "known"]);
}, 30_000);

test("a drain keeps its clients and gets no new ones; a disabled or dead endpoint loses them once", async () => {
  const shops = ["a", "b", "c"].map(startShop);
  const ports = shops.map(({ port }) => port);
  const program = await run(shopConfig(ports, byCookie));
  const port = await program.port();
  const all = await browsers(port, 3);
  const ofA = all.filter(({ instance }) => instance === "a");
  const others = all.filter(({ instance }) => instance !== "a");
  await setState(program, ports[0]!, "draining");
  expect(await answers(ofA, port)).toEqual(["known"]);
  for (let i = 0; i < 12; i++) {
    const fresh = new Browser();
    await fresh.ask(port);
    expect(fresh.instance).not.toBe("a");
  }
  await setState(program, ports[0]!, "disabled");
  expect(await answers(ofA, port)).toEqual(["lost"]);
  expect(await answers(all, port)).toEqual(["known"]);
  await setState(program, ports[0]!, "ready");
  // They moved once, and do not move back.
  expect(await answers(all, port)).toEqual(["known"]);
  expect(ofA.filter(({ instance }) => instance === "a")).toEqual([]);
  const ofB = all.filter(({ instance }) => instance === "b");
  await shops[1]!.stop();
  const seen = await answers(ofB, port);
  expect(seen).toEqual(["lost"]);
  expect(await answers(all, port)).toEqual(["known"]);
  expect(others.length).toBeGreaterThan(0);
}, 30_000);

test("at the end of a drain's window its last clients move", async () => {
  const shops = ["a", "b"].map(startShop);
  const ports = shops.map(({ port }) => port);
  const program = await run(shopConfig(ports, byCookie, 2, { drain: { window: "1s" } }));
  const port = await program.port();
  const ofA = (await browsers(port, 2)).filter(({ instance }) => instance === "a");
  await setState(program, ports[0]!, "draining");
  expect(await answers(ofA, port)).toEqual(["known"]);
  // Whenever the window ends: first all are at home, then all have moved, and nobody moves back.
  await until("somebody has moved", async () => (await ofA[0]!.ask(port)) === "lost");
  await answers(ofA, port);
  expect(await answers(ofA, port)).toEqual(["known"]);
  expect(new Set(ofA.map(({ instance }) => instance))).toEqual(new Set(["b"]));
}, 30_000);

test("all endpoints unready at once: the pool fails open, and everybody stays at home", async () => {
  let healthy = true;
  const shops = ["a", "b", "c"].map((name) => {
    const shop = startShop(name);
    const gate = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        if (new URL(request.url).pathname === "/readyz") return new Response("", { status: healthy ? 200 : 503 });
        const cookie = request.headers.get("cookie") ?? "";
        return await fetch(`http://127.0.0.1:${shop.port}/`, { headers: { cookie } });
      },
    });
    later(() => gate.stop(true));
    return gate.port ?? 0;
  });
  const readiness = { path: "/readyz", interval: "100ms", timeout: "100ms", rise: 1, fall: 1 };
  const endpoints = shops.map((port) => `127.0.0.1:${port}`);
  const program = await run(configFor(0, [], { pools: { app: { endpoints, readiness, sticky: byCookie } } }));
  const port = await program.port();
  const all = await browsers(port, 3);
  healthy = false;
  await until("nobody is ready", () => program.event("pool.unready"));
  await Bun.sleep(100);
  expect(await answers(all, port)).toEqual(["known"]);
}, 30_000);

test("the application's cookie is learned by one worker and known to all, and to their successors", async () => {
  const shops = ["a", "b", "c"].map(startShop);
  const config = shopConfig(
    shops.map(({ port }) => port),
    { appCookie: "sid" },
    3,
  );
  const program = await run(config);
  const port = await program.port();
  const all = await browsers(port, 3);
  for (const { jar } of all) expect([...jar.keys()]).toEqual(["sid"]);
  for (let round = 0; round < 3; round++) expect(await answers(all, port)).toEqual(["known"]);
  for (const pid of program.workerPids()) process.kill(pid, "SIGKILL");
  await until("all workers have successors", () => program.workerPids().length === 6);
  await until("all of them serve", async () => (await program.status()).workers.every(({ serving }) => serving));
  expect(await answers(all, port)).toEqual(["known"]);
  program.configure({ ...config, log: { access: "none", format: "combined" } });
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  expect(await answers(all, port)).toEqual(["known"]);
}, 30_000);

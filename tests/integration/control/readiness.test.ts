// What probes say decides who gets requests, in every worker, and what is said is true.
import { afterEach, expect, test } from "bun:test";
import { cleanUp, configFor, later, run, startOrigin, until } from "./running.ts";

afterEach(cleanUp);

/** An origin whose readiness is switched by the test, and that counts what it is asked. */
function switchable(body: string) {
  const state = { ready: true, probes: 0, agents: new Set<string>() };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      if (new URL(request.url).pathname !== "/readyz") return new Response(body);
      state.probes++;
      state.agents.add(request.headers.get("user-agent") ?? "");
      return new Response("", { status: state.ready ? 200 : 503 });
    },
  });
  later(() => server.stop(true));
  return { state, port: server.port ?? 0 };
}

const readiness = { path: "/readyz", interval: "100ms", timeout: "100ms", rise: 2, fall: 3 };

async function bodies(port: number): Promise<string[]> {
  const seen = new Set<string>();
  for (let i = 0; i < 40; i++) seen.add(await (await fetch(`http://127.0.0.1:${port}/`, { keepalive: false })).text());
  return [...seen].sort();
}

test("an endpoint that says 503 gets no requests until it is ready again; the reason is told", async () => {
  const [a, b] = [switchable("a"), switchable("b")];
  const pools = { app: { endpoints: [`127.0.0.1:${a.port}`, `127.0.0.1:${b.port}`], readiness } };
  const program = await run(configFor(0, [], { pools }));
  const port = await program.port();
  // The first round of probes was over before the first request: nobody was sent anywhere unproven.
  expect((await program.admin("GET", "/metrics")).text).toContain('plimsoll_pool_fail_open_total{pool="app"} 0');
  expect(await bodies(port)).toEqual(["a", "b"]);
  a.state.ready = false;
  await until("it is unready", () => program.event("endpoint.unready"));
  expect((await program.told("endpoint.unready")).text).toContain("3 probes in a row failed, the last one: status 503");
  await Bun.sleep(100); // more than the interval at which workers look
  expect(await bodies(port)).toEqual(["b"]);
  const [first] = (await program.status()).pools[0]?.endpoints ?? [];
  expect([first?.state, first?.reason]).toEqual(["unready", expect.stringContaining("status 503")]);
  b.state.ready = false;
  await until("the pool is unready", () => program.event("pool.unready"));
  await Bun.sleep(100);
  // Fail open: to all rather than to nobody.
  expect(await bodies(port)).toEqual(["a", "b"]);
  a.state.ready = true;
  await until("the pool is back", () => program.event("pool.ready"));
  expect((await program.told("endpoint.ready")).text).toContain("2 probes in a row passed");
  await Bun.sleep(100);
  expect(await bodies(port)).toEqual(["a"]);
}, 20_000);

test("an endpoint is probed once, however many workers there are", async () => {
  const origin = switchable("a");
  const pools = {
    app: {
      endpoints: [`127.0.0.1:${origin.port}`],
      readiness: { ...readiness, interval: "1h", fastInterval: "1h", timeout: "5s" },
    },
  };
  const program = await run(configFor(0, [], { pools, workers: 3 }));
  expect((await program.status()).workers.length).toBe(3);
  expect(origin.state.probes).toBe(1);
  expect([...origin.state.agents]).toEqual(["plimsoll-probe/1"]);
}, 20_000);

test("a reload that changes how a pool is probed takes nobody out for a moment", async () => {
  const origin = switchable("a");
  const withReadiness = (how: unknown) =>
    configFor(0, [], {
      pools: { app: { endpoints: [`127.0.0.1:${origin.port}`], ...(how === null ? {} : { readiness: how }) } },
    });
  const program = await run(withReadiness(readiness));
  const port = await program.port();
  for (const how of [{ ...readiness, path: "/" }, { ...readiness, interval: "50ms", timeout: "50ms" }, readiness]) {
    program.configure(withReadiness(how));
    expect((await program.admin("POST", "/reload")).status).toBe(200);
    expect((await program.status()).pools[0]?.endpoints[0]?.state).toBe("ready");
    expect(await bodies(port)).toEqual(["a"]);
  }
  expect((await program.admin("GET", "/metrics")).text).toContain('plimsoll_pool_fail_open_total{pool="app"} 0');
}, 20_000);

test("endpoints added while running join after their first pass", async () => {
  // With their full share at once: this is about whether they join, not how fast.
  const pool = (ports: readonly number[]) => ({
    endpoints: ports.map((port) => `127.0.0.1:${port}`),
    readiness: { path: "/", interval: "1s", timeout: "1s" },
    slowStart: "0s",
  });
  const old = startOrigin("old").port;
  const program = await run(configFor(0, [], { pools: { app: pool([old]) } }));
  const port = await program.port();
  const added = startOrigin("new").port;
  program.configure(configFor(0, [], { pools: { app: pool([old, added]) } }));
  expect((await program.admin("POST", "/reload")).json["changes"]).toEqual([
    `pool app: endpoint 127.0.0.1:${added} added`,
  ]);
  await until("it is ready", async () => (await program.status()).pools[0]?.endpoints[1]?.state === "ready");
  await Bun.sleep(100);
  expect(await bodies(port)).toEqual(["new", "old"]);
}, 20_000);

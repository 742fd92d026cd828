// A change takes everywhere or nowhere, and clients do not notice.
import { afterEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startLoad } from "./load.ts";
import { cleanUp, configFor, configOfTurn, later, run, startOrigin, until } from "./running.ts";

afterEach(cleanUp);

const get = async (port: number, path = "/") => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { keepalive: false });
  return { status: answer.status, text: await answer.text() };
};

/** A port that was free a moment ago, below those that the system gives to clients: the load would take it otherwise. */
function freePort(): number {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // Taken: another one.
    }
  }
}

test("50 reloads under load lose no request, new and kept connections alike", async () => {
  const origins = [startOrigin().port, startOrigin().port, startOrigin().port];
  const config = (turn: number) => configOfTurn(turn, origins);
  const program = await run(config(0));
  const port = await program.port();
  const kept = startLoad({ port, clients: 8, perConnection: 1_000_000 });
  const fresh = startLoad({ port, clients: 8, perConnection: 3 });
  for (let index = 1; index <= 50; index++) {
    program.configure(config(index));
    const answer = await program.admin("POST", "/reload");
    expect(answer.status).toBe(200);
    expect(answer.json["changes"]).toContain(`listener web: route web.routes[1] changed`);
  }
  expect((await fetch(`http://127.0.0.1:${port}/reload-50`, { redirect: "manual" })).status).toBe(302);
  for (const load of [kept, fresh]) {
    const tally = await load.stop();
    expect({ refused: tally.refused, lost: tally.lost, bad: [...tally.bad] }).toEqual({ refused: 0, lost: 0, bad: [] });
    expect(tally.answered).toBeGreaterThan(200);
  }
  // None of the connections that were kept was closed by a reload.
  expect(kept.tally.connections).toBe(8);
  const status = await program.status();
  expect(status.generation).toBe(51);
  expect(status.workerRestarts).toBe(0);
}, 60_000);

test("a bad file changes nothing and says why, every problem of it", async () => {
  const origin = startOrigin("old").port;
  const program = await run(configFor(0, [origin]));
  const port = await program.port();
  program.configure("listeners:\n  web:\n    addres: 127.0.0.1:0\npools:\n  app:\n    balance: best\n");
  const answer = await program.admin("POST", "/reload");
  expect(answer.status).toBe(422);
  const problems = (answer.json["problems"] as string[]).join("\n");
  expect(problems).toContain("plimsoll.yaml:3:5");
  expect(problems).toContain("addres");
  expect(problems).toContain("balance");
  program.process.kill("SIGHUP");
  await until("SIGHUP is refused too", () => program.count("config.refused") === 2);
  expect((await get(port)).text).toBe("old");
  const status = await program.status();
  expect(status.generation).toBe(1);
  expect(status.lastReload?.ok).toBe(false);
  expect((await program.admin("GET", "/metrics")).text).toContain('plimsoll_reloads_total{result="refused"} 2');
  program.configure(configFor(0, [origin]));
  expect((await program.admin("POST", "/reload")).json["changes"]).toEqual([]);
}, 20_000);

test("a listener that cannot be opened refuses the whole change", async () => {
  const origin = startOrigin("old").port;
  const occupied = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  later(() => occupied.stop(true));
  const free = freePort();
  const base = configFor(0, [origin]) as { listeners: { web: object } };
  const program = await run(base);
  const port = await program.port();
  const listeners = {
    web: { address: "127.0.0.1:0", routes: [{ respond: { status: 200, body: "new" } }] },
    first: { address: `127.0.0.1:${free}`, routes: [{ pool: "app" }] },
    second: { address: `127.0.0.1:${occupied.port}`, routes: [{ pool: "app" }] },
  };
  program.configure({ ...base, listeners });
  const refused = await program.admin("POST", "/reload");
  expect(refused.status).toBe(422);
  expect(refused.text).toContain("listener second");
  expect(refused.text).toContain("EADDRINUSE");
  expect((await get(port)).text).toBe("old");
  // The socket that could be opened was closed again.
  await expect(get(free)).rejects.toThrow();
  const { second: _, ...good } = listeners;
  program.configure({ ...base, listeners: good });
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  expect((await get(port)).text).toBe("new");
  expect((await get(free)).text).toBe("old");
}, 20_000);

test("listeners come, move and go; the others keep their socket and their connections", async () => {
  const origin = startOrigin("hello").port;
  const [a, b] = [freePort(), freePort()];
  const routes = [{ pool: "app" }];
  const config = (listeners: object) => configFor(0, [origin], { listeners });
  const program = await run(
    config({ web: { address: "127.0.0.1:0", routes }, side: { address: `127.0.0.1:${a}`, routes } }),
  );
  const port = await program.port();
  const kept = startLoad({ port, clients: 4, perConnection: 1_000_000 });
  const apply = async (listeners: object) => {
    program.configure(config(listeners));
    const answer = await program.admin("POST", "/reload");
    expect(answer.status).toBe(200);
    return answer.json["changes"] as string[];
  };
  expect((await get(a)).text).toBe("hello");
  const moved = await apply({ web: { address: "127.0.0.1:0", routes }, side: { address: `127.0.0.1:${b}`, routes } });
  expect(moved).toEqual([`listener side: moved from 127.0.0.1:${a} to 127.0.0.1:${b}`]);
  expect((await get(b)).text).toBe("hello");
  await expect(get(a)).rejects.toThrow();
  // A request that is in flight on a listener that goes is answered.
  const last = get(b, "/slow/300");
  await until("it is in flight", async () =>
    (await program.status()).listeners.some((each) => each.name === "side" && each.requests >= 2),
  );
  expect(await apply({ web: { address: "127.0.0.1:0", routes } })).toEqual(["listener side removed"]);
  expect((await last).text).toBe("hello");
  await expect(get(b)).rejects.toThrow();
  const tally = await kept.stop();
  expect(tally.connections).toBe(4);
  expect([tally.lost, tally.refused, tally.bad.size]).toEqual([0, 0, 0]);
}, 20_000);

test("reloads at the same time are made one after another", async () => {
  const origin = startOrigin().port;
  const program = await run(configFor(0, [origin]));
  program.configure(configFor(0, [origin], { pools: { app: { endpoints: [`127.0.0.1:${origin}`, "127.0.0.1:1"] } } }));
  const answers = await Promise.all(Array.from({ length: 5 }, () => program.admin("POST", "/reload")));
  expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 200]);
  expect(answers.filter((answer) => (answer.json["changes"] as string[]).length > 0).length).toBe(1);
  expect((await program.status()).generation).toBe(2);
}, 20_000);

test("workers that die during reloads come back with what is current", async () => {
  const origin = startOrigin().port;
  const program = await run(configFor(0, [origin]));
  const port = await program.port();
  const config = (index: number) =>
    configFor(0, [origin], {
      listeners: {
        web: {
          address: "127.0.0.1:0",
          routes: [{ pool: "app" }, { match: { path: "/n" }, respond: { status: 200, body: `${index}` } }],
        },
      },
    });
  let stop = false;
  const killer = (async () => {
    for (let turn = 0; !stop; turn++) {
      const { workers } = await program.status();
      // One at a time: with nobody left to ask, a change is rightly refused.
      if (workers.every((worker) => worker.serving)) process.kill(workers[turn % 2]?.pid ?? 0, "SIGKILL");
      await Bun.sleep(20);
    }
  })();
  for (let index = 1; index <= 6; index++) {
    const exits = program.count("worker.exited");
    await until("a worker dies", () => program.count("worker.exited") > exits);
    program.configure(config(index));
    expect((await program.admin("POST", "/reload")).status).toBe(200);
  }
  stop = true;
  await killer;
  await until("both serve", async () => (await program.status()).workers.every((worker) => worker.serving));
  for (let i = 0; i < 20; i++) expect((await get(port, "/n")).text).toBe("6");
}, 30_000);

test("the admin address can move, and a taken one refuses the change", async () => {
  const origin = startOrigin().port;
  const program = await run(configFor(0, [origin]));
  const occupied = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  later(() => occupied.stop(true));
  program.configure(configFor(0, [origin], { admin: { address: `127.0.0.1:${occupied.port}` } }));
  const refused = await program.admin("POST", "/reload");
  expect(refused.status).toBe(422);
  expect(refused.text).toContain("another program");
  const port = freePort();
  program.configure(configFor(0, [origin], { admin: { address: `127.0.0.1:${port}` } }));
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  expect(program.note().admin).toBe(`http://127.0.0.1:${port}`);
  expect((await program.status()).readiness).toBe("ready");
}, 20_000);

test("what one worker refuses happens in none, and what kills them all is refused", async () => {
  const origin = startOrigin("old").port;
  const other = freePort();
  const config = (name: string) => {
    const routes = [{ pool: "app" }, { name, match: { path: "/new" }, respond: { status: 200, body: "new" } }];
    const side = { address: `127.0.0.1:${other}`, routes };
    return configFor(0, [origin], { listeners: { web: { address: "127.0.0.1:0", routes }, side } });
  };
  const program = await run(configFor(0, [origin]), { worker: `${import.meta.dir}/picky-worker.ts` });
  const port = await program.port();
  const load = startLoad({ port, clients: 8, perConnection: 5 });
  program.configure(config("refuse"));
  for (let i = 0; i < 3; i++) {
    const refused = await program.admin("POST", "/reload");
    expect(refused.status).toBe(422);
    expect(refused.json["problems"]).toEqual(["worker 1 does not want to"]);
  }
  for (let i = 0; i < 20; i++) expect((await get(port, "/new")).text).toBe("old");
  await expect(get(other)).rejects.toThrow();
  expect(load.tally.lost).toBe(0);
  program.configure(config("die"));
  const lost = await program.admin("POST", "/reload");
  expect(lost.status).toBe(422);
  expect(lost.text).toContain("every worker was lost while preparing");
  await until("both serve again", async () => (await program.status()).workers.every((worker) => worker.serving));
  for (let i = 0; i < 20; i++) expect((await get(port, "/new")).text).toBe("old");
  program.configure(config("fine"));
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  for (let i = 0; i < 20; i++) expect((await get(i % 2 === 0 ? port : other, "/new")).text).toBe("new");
  const tally = await load.stop();
  expect([tally.refused, tally.bad.size]).toEqual([0, 0]);
}, 30_000);

test("a listener that goes resets nobody who was let in: who came too late is refused", async () => {
  const origin = startOrigin().port;
  const routes = [{ pool: "app" }];
  const web = { address: "127.0.0.1:0", routes };
  const program = await run(configFor(0, [origin], { listeners: { web } }));
  for (let turn = 0; turn < 12; turn++) {
    const port = freePort();
    program.configure(configFor(0, [origin], { listeners: { web, side: { address: `127.0.0.1:${port}`, routes } } }));
    const added = await program.admin("POST", "/reload");
    expect([added.status, added.text]).toEqual([200, added.text]);
    const load = startLoad({ port, clients: 16, perConnection: 1 });
    await until("it is used", () => load.tally.answered > 50);
    program.configure(configFor(0, [origin], { listeners: { web } }));
    expect((await program.admin("POST", "/reload")).status).toBe(200);
    await until("nobody is there any more", () => load.tally.refused > 16);
    const tally = await load.stop();
    expect([tally.lost, tally.bad.size]).toEqual([0, 0]);
  }
}, 60_000);

test("a worker that comes up between prepare and commit runs the new snapshot, and loses nothing", async () => {
  const origin = startOrigin("old").port;
  const config = (name: string) => {
    const routes = [{ pool: "app" }, { name, match: { path: "/new" }, respond: { status: 200, body: name } }];
    return configFor(0, [origin], { listeners: { web: { address: "127.0.0.1:0", routes } } });
  };
  const program = await run(config("first"), { worker: `${import.meta.dir}/picky-worker.ts` });
  const port = await program.port();
  const load = startLoad({ port, clients: 8, perConnection: 5 });
  // Worker 0 takes its time to prepare; meanwhile worker 1, which has prepared, dies, and its successor comes up with the old one.
  program.configure(config("slowly"));
  const answer = program.admin("POST", "/reload");
  await until("worker 0 prepares", () => program.event("picky.preparing"));
  const served = program.count("worker.serving");
  process.kill((await program.status()).workers[1]?.pid ?? 0, "SIGKILL");
  await until("its successor serves", () => program.count("worker.serving") > served);
  expect((await program.status()).generation).toBe(1);
  // Half of those who come now are its own; the others wait for worker 0.
  const late = startLoad({ port, clients: 32, perConnection: 1_000_000 });
  await until("it serves requests with the old one", () => late.tally.answered > 50);
  writeFileSync(join(program.runtime, "go"), "");
  expect((await answer).status).toBe(200);
  expect(await program.told("config.applied")).toBeDefined();
  const { generation, workers, workerRestarts } = await program.status();
  expect([generation, workerRestarts, workers.every((worker) => worker.serving)]).toEqual([2, 1, true]);
  for (let i = 0; i < 40; i++) expect((await get(port, "/new")).text).toBe("slowly");
  const [tally, lateTally] = [await load.stop(), await late.stop()];
  expect([tally.refused, tally.bad.size]).toEqual([0, 0]);
  // What the killed one had in its hands, at most.
  expect(tally.lost).toBeLessThanOrEqual(8);
  expect([lateTally.refused, lateTally.lost, lateTally.bad.size]).toEqual([0, 0, 0]);
}, 60_000);

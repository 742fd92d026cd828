// `plimsoll run`, and the commands that speak to it: status, reload, drain, explain, stop.
// Runs alone: other balancers of the same user are found as well.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProgram } from "../up/program.ts";

setDefaultTimeout(60_000);

let folder = "";
const origins: Bun.Server<undefined>[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cli-running-"));
  for (const name of ["one", "two"]) {
    origins.push(Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(name) }));
  }
});

afterAll(async () => {
  await Promise.all(origins.map((origin) => origin.stop(true)));
  rmSync(folder, { recursive: true });
});

const endpoint = (at: number): string => `127.0.0.1:${origins[at]?.port}`;

function write(name: string, endpoints: readonly string[], more = ""): void {
  const text = `listeners:
  web:
    address: 127.0.0.1:0
    routes: [{ pool: api }]
pools:
  api:
    endpoints: [${endpoints.map((each) => `"${each}"`).join(", ")}]
    readiness: { path: /, interval: 200ms, timeout: 200ms, rise: 1, fall: 1 }
admin: { address: 127.0.0.1:0 }
shutdown: { lag: 0s }
workers: 1
${more}`;
  writeFileSync(join(folder, name), text);
}

/** A runtime directory of its own; commands look elsewhere, too, so nobody else's balancer may run. */
function env(): Record<string, string> {
  return { XDG_RUNTIME_DIR: folder, SECRET: "hush" };
}

async function call(...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  await using program = startProgram(args, { cwd: folder, env: env() });
  return { code: await program.exited, out: program.out(), err: program.err() };
}

describe("a running balancer", () => {
  test("is found, asked, reloaded, drained, explained and stopped", async () => {
    write("plimsoll.yaml", [endpoint(0)]);
    await using balancer = startProgram(["run"], { cwd: folder, env: env() });
    const web = await balancer.says(/^web (http:\S+)$/m);
    const admin = await balancer.says(/^admin (http:\S+)$/m);
    expect(await (await fetch(web)).text()).toBe("one");

    const status = await call("status");
    expect([status.code, status.err]).toEqual([0, ""]);
    expect(status.out).toContain(`${endpoint(0)}   ready`);
    const facts = JSON.parse((await call("status", "--json", "--admin", new URL(admin).host)).out);
    expect(facts.pid).toBe(balancer.pid);
    expect(facts.pools[0].endpoints[0].requests).toBeGreaterThan(0);

    expect((await call("reload")).out).toBe("Nothing had changed.\n");
    write("plimsoll.yaml", [endpoint(0), endpoint(1)]);
    expect((await call("reload")).out).toContain(`pool api: endpoint ${endpoint(1)} added`);
    write("plimsoll.yaml", ["127.0.0.1:port"]);
    const refused = await call("reload");
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("Nothing was changed:\nplimsoll.yaml:7:");
    expect(await (await fetch(web)).text()).toMatch(/one|two/);
    write("plimsoll.yaml", [endpoint(0), endpoint(1)]);

    const drained = await call("drain", `api/${endpoint(0)}`, "--wait");
    expect([drained.code, drained.out]).toEqual([
      0,
      `api/${endpoint(0)} is draining.\nNothing is left at api/${endpoint(0)}: it can be stopped.\n`,
    ]);
    for (let turn = 0; turn < 6; turn++) expect(await (await fetch(web)).text()).toBe("two");

    const explained = await call("explain", "http://shop.example/");
    expect(explained.code).toBe(0);
    expect(explained.out).toContain(`not ${endpoint(0)}: is draining: asked for by an operator`);
    expect(explained.out).toContain(`endpoint  ${endpoint(1)}\n`);
    expect(explained.out).toContain(`Endpoint states are those of the balancer at ${admin}`);
    expect((await call("explain", "--offline", "http://shop.example/")).out).toContain(
      `one of ${endpoint(0)}, ${endpoint(1)}`,
    );

    expect((await call("undrain", `api/${endpoint(0)}`)).code).toBe(0);
    const last = await call("drain", `api/${endpoint(0)}`, "--window", "10s");
    expect([last.code, last.err]).toEqual([0, ""]);
    const nobody = await call("disable", `api/${endpoint(1)}`);
    expect([nobody.code, nobody.err]).toEqual([
      0,
      "No other endpoint of pool api is in rotation: new requests are answered with 503.\n",
    ]);
    // A command returns when every worker knows.
    expect((await fetch(web)).status).toBe(503);
    expect((await call("drain", `api/${endpoint(0)}`, "--wait")).out).toContain("it can be stopped");
    expect((await call("status")).out).toMatch(/asked for by an operator; empty/);
    for (const at of [0, 1]) expect((await call("enable", `api/${endpoint(at)}`)).code).toBe(0);
    expect((await call("drain", `api/${endpoint(0)}`, "--window", "soon")).code).toBe(2);
    const unknown = await call("drain", "api/127.0.0.1:1");
    expect([unknown.code, unknown.err]).toEqual([
      1,
      `plimsoll: pool api has no endpoint 127.0.0.1:1; it has ${endpoint(0)}, ${endpoint(1)}\n`,
    ]);

    expect(await call("stop")).toEqual({ code: 0, out: `Process ${balancer.pid} has stopped.\n`, err: "" });
    expect(await balancer.exited).toBe(0);
  });

  test("two of them: the commands ask which is meant", async () => {
    write("a.yaml", [endpoint(0)]);
    write("b.yaml", [endpoint(1)]);
    await using first = startProgram(["run", "-c", "a.yaml"], { cwd: folder, env: env() });
    await using second = startProgram(["run", "-c", "b.yaml"], { cwd: folder, env: env() });
    const admin = new URL(await first.says(/^admin (http:\S+)$/m)).host;
    await second.says(/^admin (http:\S+)$/m);
    const { code, err } = await call("status");
    expect(code).toBe(1);
    expect(err).toContain("2 balancers run; say which with --admin:");
    expect(err).toContain(`--admin ${admin}   (process ${first.pid},`);
    expect((await call("status", "--admin", admin)).code).toBe(0);
    first.signal("SIGTERM");
    second.signal("SIGTERM");
    expect([await first.exited, await second.exited]).toEqual([0, 0]);
  });

  test("none: said in words", async () => {
    const { code, err } = await call("status", "--admin", "127.0.0.1:1");
    expect(code).toBe(1);
    expect(err).toContain("http://127.0.0.1:1 cannot be reached");
  });
});

describe("configurations", () => {
  test("check: 0, 1 and 2, as text and as JSON", async () => {
    write("good.yaml", [endpoint(0)]);
    write("bad.yaml", ["nowhere"], "unknwon: 1\n");
    const good = await call("check", "-c", "good.yaml");
    expect([good.code, good.out]).toEqual([0, "good.yaml can be run: no errors, no warnings\n"]);
    const bad = await call("check", "-c", "bad.yaml");
    expect(bad.code).toBe(1);
    expect(bad.out).toContain("bad.yaml:7:");
    expect(bad.out).toContain("bad.yaml cannot be run: 2 errors");
    const json = JSON.parse((await call("check", "-c", "bad.yaml", "--json")).out);
    expect([json.ok, json.errors, json.problems.length]).toEqual([false, 2, 2]);
    const missing = await call("check", "-c", "missing.yaml");
    expect([missing.code, missing.err]).toEqual([2, "plimsoll: There is no file missing.yaml.\n"]);
  });

  test("run refuses what check refuses, and a port that is taken", async () => {
    write("bad.yaml", ["nowhere"]);
    const bad = await call("run", "-c", "bad.yaml");
    expect(bad.code).toBe(1);
    expect(bad.err).toContain("bad.yaml:7:");
    write("taken.yaml", [endpoint(0)]);
    const text = await Bun.file(join(folder, "taken.yaml")).text();
    writeFileSync(
      join(folder, "taken.yaml"),
      text.replace("address: 127.0.0.1:0\n    routes", `address: ${endpoint(1)}\n    routes`),
    );
    const taken = await call("run", "-c", "taken.yaml");
    expect([taken.code, taken.out]).toEqual([1, ""]);
    expect(taken.err).toContain(endpoint(1));
  });

  test("an access log that cannot be opened: check, run and reload say where and why, and nothing changes", async () => {
    const logged = (access: string) => write("logged.yaml", [endpoint(0)], `log: { access: ${access} }\n`);
    logged("./access.log");
    expect((await call("check", "-c", "logged.yaml")).code).toBe(0);
    await using balancer = startProgram(["run", "-c", "logged.yaml"], { cwd: folder, env: env() });
    const web = await balancer.says(/^web (http:\S+)$/m);
    const admin = new URL(await balancer.says(/^admin (http:\S+)$/m)).host;
    logged("./missing/access.log");
    const said = `the access log ./missing/access.log cannot be opened: there is no folder ${folder}/missing`;
    const checked = await call("check", "-c", "logged.yaml");
    expect(checked.code).toBe(1);
    expect(checked.out).toMatch(/^logged\.yaml:\d+:\d+: error: log\.access: /);
    expect(checked.out).toContain(said);
    expect(checked.out).toContain(`hint: make it (mkdir -p ${folder}/missing), or name another file`);
    const reloaded = await call("reload", "--admin", admin);
    expect(reloaded.code).toBe(1);
    expect(reloaded.err).toContain(`Nothing was changed:\nlogged.yaml:`);
    expect(reloaded.err).toContain(said);
    const run = startProgram(["run", "-c", "logged.yaml"], { cwd: folder, env: env() });
    expect(await run.exited).toBe(1);
    expect(run.err()).toContain(said);
    expect(await (await fetch(web)).text()).toBe("one");
    balancer.signal("SIGTERM");
    expect(await balancer.exited).toBe(0);
    // Written to where it was opened.
    expect(readFileSync(join(folder, "access.log"), "utf8").trim().split("\n")).toHaveLength(1);
  });

  test("a TypeScript configuration, read again on reload", async () => {
    const module = (port: string): string => `export default {
  listeners: { web: { address: "127.0.0.1:0", routes: [{ pool: "api" }] } },
  pools: { api: { endpoints: ["${port}"] } },
  admin: { address: "127.0.0.1:0" }, shutdown: { lag: "0s" }, workers: 1,
};\n`;
    writeFileSync(join(folder, "plimsoll.config.ts"), module(endpoint(0)));
    await using balancer = startProgram(["run", "-c", "plimsoll.config.ts"], { cwd: folder, env: env() });
    const web = await balancer.says(/^web (http:\S+)$/m);
    expect(await (await fetch(web)).text()).toBe("one");
    writeFileSync(join(folder, "plimsoll.config.ts"), module(endpoint(1)));
    balancer.signal("SIGHUP");
    await balancer.says(/config.applied/);
    expect(await (await fetch(web)).text()).toBe("two");
    balancer.signal("SIGTERM");
    expect(await balancer.exited).toBe(0);
  });
});

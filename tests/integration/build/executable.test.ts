// `npm run build`: the one executable, copied alone to an empty folder and run from there.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@plimsoll/testbed/waiting";
import { build } from "../../../tools/build.ts";
import { startProgram, type Program } from "../up/program.ts";
import { fixtures } from "../up/stage.ts";

setDefaultTimeout(60_000);

let folder = "";
let plimsoll = "";
const origins: Bun.Server<undefined>[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "single-"));
  mkdirSync(join(folder, "built"));
  mkdirSync(join(folder, "run"));
  const { file } = await build(join(folder, "built/plimsoll"));
  plimsoll = join(folder, "run/plimsoll");
  renameSync(file, plimsoll);
  for (const name of ["one", "two"]) {
    origins.push(Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(name) }));
  }
});

afterAll(async () => {
  await Promise.all(origins.map((origin) => origin.stop(true)));
  rmSync(folder, { recursive: true });
});

const endpoint = (at: number): string => `127.0.0.1:${origins[at]?.port}`;

/** Starts it as on a machine that has nothing else: no Node, no Bun, no packages. */
function start(...args: readonly string[]): Program {
  return startProgram(args, {
    command: [plimsoll],
    cwd: join(folder, "run"),
    env: { PATH: "/usr/bin-without-node", XDG_RUNTIME_DIR: folder, XDG_DATA_HOME: folder },
  });
}

async function call(...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  await using program = start(...args);
  return { code: await program.exited, out: program.out(), err: program.err() };
}

function write(name: string, text: string): void {
  writeFileSync(join(folder, "run", name), text);
}

const yaml = (endpoints: readonly string[]): string => `listeners:
  web:
    address: 127.0.0.1:0
    routes:
      - { match: { path: /none }, pool: nobody }
      - { pool: api }
    errorPages: { 5xx: sorry.html }
pools:
  api: { endpoints: [${endpoints.map((each) => `"${each}"`).join(", ")}], readiness: { path: /, interval: 200ms, timeout: 200ms } }
  nobody: { endpoints: ["127.0.0.1:1"], readiness: off }
admin: { address: 127.0.0.1:0 }
shutdown: { lag: 0s }
workers: 2
`;

interface WorkerFacts {
  readonly pid: number;
  readonly serving: boolean;
}

async function workers(admin: string): Promise<readonly WorkerFacts[]> {
  return JSON.parse((await call("status", "--json", "--admin", admin)).out).workers;
}

async function adminOf(balancer: Program): Promise<string> {
  return new URL(await balancer.says(/^admin (http:\S+)$/m)).host;
}

/** The file that a process runs. */
const executableOf = (pid: number): string => readlinkSync(`/proc/${pid}/exe`);

/** Ends one worker with -9 and waits for its successor, whose process id is returned. */
async function killOne(admin: string): Promise<number> {
  const before = (await workers(admin)).map(({ pid }) => pid);
  process.kill(before[0] ?? 0, "SIGKILL");
  let after: readonly WorkerFacts[] = [];
  await eventually("the worker has a successor", async () => {
    after = await workers(admin);
    return after.length === 2 && after.every(({ pid, serving }) => serving && pid !== before[0]);
  });
  return after.find(({ pid }) => !before.includes(pid))?.pid ?? 0;
}

describe("the executable", () => {
  test("the same sources make the same bytes", async () => {
    const { file } = await build(join(folder, "again/plimsoll"));
    expect(readFileSync(file).equals(readFileSync(plimsoll))).toBe(true);
    rmSync(join(folder, "again"), { recursive: true });
  });

  test("says what it is, helps, completes", async () => {
    const version = JSON.parse((await call("version", "--json")).out);
    expect([version.version, version.bun]).toEqual(["0.1.0", Bun.version]);
    const help = await call("--help");
    const names = [...help.out.matchAll(/^ {2}([a-z]+) .*/gm)].map((match) => match[1] ?? "");
    expect(names).toContain("demo");
    for (const name of ["up", "run", "check", "explain", "drain", "stop"]) {
      expect((await call(name, "--help")).out).toContain("Example");
    }
    expect((await call("completions", "bash")).out).toContain("complete -F _plimsoll plimsoll");
    expect((await call("nonsense")).code).toBe(2);
  });

  test("makes certificates for development", async () => {
    const made = await call("cert", "dev", "shop.localhost");
    expect([made.code, made.out.split("\n")[0]]).toEqual([
      0,
      expect.stringMatching(/^shop\.localhost\.crt and shop\.localhost\.key/) as unknown as string,
    ]);
  });

  test("checks and explains a configuration, in YAML and in TypeScript", async () => {
    write("sorry.html", "<h1>Sorry</h1>");
    write("plimsoll.yaml", yaml([endpoint(0)]));
    expect((await call("check")).out).toBe("plimsoll.yaml can be run: no errors, no warnings\n");
    expect((await call("explain", "--offline", "http://shop.example/")).out).toContain(endpoint(0));
    write("wrong.yaml", yaml(["nowhere"]));
    expect((await call("check", "-c", "wrong.yaml")).code).toBe(1);

    write("ports.ts", `export const port: number = ${origins[0]?.port};\n`);
    for (const name of ["plimsoll/config", "@plimsoll/balancer/config"]) {
      write(
        "site.config.ts",
        `import { defineConfig, type ConfigInput } from "${name}";
import { port } from "./ports.ts";
const config: ConfigInput = {
  listeners: { web: { address: "127.0.0.1:0", routes: [{ pool: "app" }] } },
  pools: { app: { endpoints: [\`127.0.0.1:\${port}\`] } },
};
export default defineConfig(config);
`,
      );
      const checked = await call("check", "-c", "site.config.ts");
      expect([checked.code, checked.out]).toEqual([0, "site.config.ts can be run: no errors, no warnings\n"]);
    }
    // What is not there is missed, and not fetched from anywhere.
    write("lacking.config.ts", `import odd from "is-odd";\nexport default { odd };\n`);
    const lacking = await call("check", "-c", "lacking.config.ts");
    expect([lacking.code, lacking.out]).toEqual([1, expect.stringContaining("Cannot find package 'is-odd'")]);
  });

  test("reads nothing from the folder in which it is called", async () => {
    write(".env", "PLIMSOLL_LEAKED=127.0.0.1:9\n");
    write("bunfig.toml", 'preload = ["./preload.ts"]\n');
    write("preload.ts", 'console.log("preloaded");\n');
    write("leak.yaml", yaml(["${PLIMSOLL_LEAKED}"]));
    const checked = await call("check", "-c", "leak.yaml");
    expect(checked.code).toBe(1);
    expect(checked.out).toContain("PLIMSOLL_LEAKED");
    expect(checked.out).not.toContain("preloaded");
    for (const name of [".env", "bunfig.toml", "preload.ts"]) rmSync(join(folder, "run", name));
  });

  test("runs: two workers, reload, a worker killed, drain, error page, stop", async () => {
    write("sorry.html", "<h1>Sorry</h1>");
    write("plimsoll.yaml", yaml([endpoint(0)]));
    await using balancer = start("run");
    const web = await balancer.says(/^web (http:\S+)$/m);
    const admin = await adminOf(balancer);
    const ask = async (path = "/"): Promise<string> =>
      await (await fetch(`${web}${path}`, { headers: { connection: "close" } })).text();
    expect(await ask()).toBe("one");
    expect(await ask("/none")).toBe("<h1>Sorry</h1>");
    expect((await workers(admin)).map(({ pid }) => executableOf(pid))).toEqual([plimsoll, plimsoll]);

    write("plimsoll.yaml", yaml([endpoint(0), endpoint(1)]));
    expect((await call("reload", "--admin", admin)).out).toContain(`endpoint ${endpoint(1)} added`);
    await killOne(admin);
    const drained = await call("drain", `api/${endpoint(0)}`, "--wait", "--admin", admin);
    expect([drained.code, drained.out]).toEqual([0, expect.stringContaining("it can be stopped")]);
    for (let turn = 0; turn < 6; turn++) expect(await ask()).toBe("two");
    expect(await call("stop", "--admin", admin)).toEqual({
      code: 0,
      out: `Process ${balancer.pid} has stopped.\n`,
      err: "",
    });
    expect(await balancer.exited).toBe(0);
  });

  test("a new version installed over it while it runs: workers are still those of the version that runs", async () => {
    write("sorry.html", "<h1>Sorry</h1>");
    write("plimsoll.yaml", yaml([endpoint(0)]));
    await using balancer = start("run");
    const web = await balancer.says(/^web (http:\S+)$/m);
    const admin = await adminOf(balancer);
    // As a package manager does it: another file under the same name.
    copyFileSync(plimsoll, `${plimsoll}.new`);
    renameSync(`${plimsoll}.new`, plimsoll);
    const pid = await killOne(admin);
    expect(executableOf(pid)).toBe(`${plimsoll} (deleted)`);
    expect(await (await fetch(web)).text()).toBe("one");
    // And the new version takes over, under the name and with the arguments of the old one.
    const upgraded = await call("upgrade", "--admin", admin, "--wait", "--json");
    expect([upgraded.code, upgraded.err]).toEqual([0, ""]);
    const { pid: next } = JSON.parse(upgraded.out) as { pid: number };
    expect(executableOf(next)).toBe(plimsoll);
    for (const worker of await workers(admin)) expect(executableOf(worker.pid)).toBe(plimsoll);
    expect(await (await fetch(web)).text()).toBe("one");
    // Another file, by its name.
    const other = `${plimsoll}-0.2.0`;
    copyFileSync(plimsoll, other);
    expect((await call("upgrade", "--admin", admin, "--binary", other, "--wait")).code).toBe(0);
    for (const worker of await workers(admin)) expect(executableOf(worker.pid)).toBe(other);
    expect((await call("stop", "--admin", admin)).code).toBe(0);
    // Its output ends with that of its successors, who have inherited it.
    expect(await balancer.exited).toBe(0);
    rmSync(other);
  });

  test("a TypeScript configuration, read again on reload", async () => {
    const module = (to: string): string => `import { defineConfig } from "plimsoll/config";
export default defineConfig({
  listeners: { web: { address: "127.0.0.1:0", routes: [{ pool: "api" }] } },
  pools: { api: { endpoints: ["${to}"] } },
  admin: { address: "127.0.0.1:0" }, shutdown: { lag: "0s" }, workers: 1,
});\n`;
    write("live.config.ts", module(endpoint(0)));
    await using balancer = start("run", "-c", "live.config.ts");
    const web = await balancer.says(/^web (http:\S+)$/m);
    expect(await (await fetch(web)).text()).toBe("one");
    write("live.config.ts", module(endpoint(1)));
    balancer.signal("SIGHUP");
    await balancer.says(/config.applied/);
    expect(await (await fetch(web)).text()).toBe("two");
    balancer.signal("SIGTERM");
    expect(await balancer.exited).toBe(0);
  });

  test("up: instances of another program, replaced on SIGHUP", async () => {
    const app = [process.execPath, join(fixtures, "node-app.mjs")];
    await using program = start("up", "-n", "2", "--port", "0", "--admin", "off", "--workers", "1", "--", ...app);
    const url = await program.says(/all 2 instances are ready behind (\S+)/);
    expect(await (await fetch(url)).text()).toMatch(/^app-\d \d+\n$/);
    program.signal("SIGHUP");
    await program.says(/all 2 instances are replaced/);
    expect((await fetch(url)).status).toBe(200);
    program.signal("SIGTERM");
    expect(await program.exited).toBe(0);
  });

  test("demo: the shop is inside", async () => {
    await using demo = start("demo", "--port", "0");
    const url = await demo.says(/The shop is open: (\S+)/);
    expect(await (await fetch(url)).text()).toContain("The Chandlery");
    const sold = await fetch(`${url}/cart`, {
      method: "POST",
      body: new URLSearchParams({ id: "lamp" }),
      redirect: "manual",
    });
    expect(sold.status).toBe(303);
    const socket = new WebSocket(`${url.replace("http", "ws")}/`);
    const heard = new Promise<string>((resolve) =>
      socket.addEventListener("message", ({ data }) => resolve(String(data))),
    );
    socket.addEventListener("open", () => socket.send("ahoy"));
    expect(await heard).toMatch(/^shop-\d: ahoy$/);
    socket.close();
    // What it says to try is what can be called here.
    expect(demo.out()).toContain("\n  plimsoll status");
    demo.signal("SIGINT");
    expect(await demo.exited).toBe(0);
  });
});

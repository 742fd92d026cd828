// `plimsoll upgrade` as people call it: what it says, its exit codes, where it is refused, and that `stop` waits.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, runningPrograms } from "../../../packages/balancer/src/control/runtime-directory.ts";
import { startProgram, type Program } from "../up/program.ts";
import { fixtures, until } from "../up/stage.ts";

setDefaultTimeout(90_000);

let folder = "";
let origin: Bun.Server<undefined>;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cli-upgrade-"));
  origin = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (new URL(request.url).pathname === "/slow") await Bun.sleep(1_500);
      return new Response("hello");
    },
  });
});

afterAll(async () => {
  await origin.stop(true);
  rmSync(folder, { recursive: true });
});

function configure(text = ""): void {
  const good = `listeners: { web: { address: 127.0.0.1:0, routes: [{ pool: app }] } }
pools: { app: { endpoints: ["127.0.0.1:${origin.port}"], readiness: off } }
admin: { address: 127.0.0.1:0 }
shutdown: { lag: 0s }
workers: 1
`;
  writeFileSync(join(folder, "plimsoll.yaml"), text === "" ? good : text);
}

const start = (...args: readonly string[]): Program =>
  startProgram(args, { cwd: folder, env: { XDG_RUNTIME_DIR: folder } });

async function call(...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  await using program = start(...args);
  return { code: await program.exited, out: program.out(), err: program.err() };
}

/** The text of a running balancer's admin address. */
const adminOf = async (program: Program): Promise<string> => new URL(await program.says(/^admin (http:\S+)$/m)).host;

test("it takes over, says so, and everything finds the new one; stop waits for what is in flight", async () => {
  configure();
  await using balancer = start("run");
  const web = await balancer.says(/^web (http:\S+)$/m);
  const admin = await adminOf(balancer);
  const upgraded = await call("upgrade", "--admin", admin, "--wait");
  expect([upgraded.code, upgraded.err]).toEqual([0, ""]);
  const [, pid, old] =
    /^Process (\d+), version 0\.1\.0, has taken over from process (\d+), which is gone\.\n$/.exec(upgraded.out) ?? [];
  expect(Number(old)).toBe(balancer.pid);
  expect(isAlive(balancer.pid)).toBe(false);
  expect(JSON.parse((await call("status", "--json", "--admin", admin)).out).pid).toBe(Number(pid));
  expect((await call("reload", "--admin", admin)).out).toBe("Nothing had changed.\n");

  configure("listeners: 3");
  const refused = await call("upgrade", "--admin", admin);
  expect(refused.code).toBe(1);
  expect(refused.err).toStartWith(
    "plimsoll: Nothing was changed: the new program does not start: plimsoll.yaml cannot be run:\nplimsoll.yaml:1:12",
  );
  const broken = join(folder, "broken");
  writeFileSync(broken, "#!/bin/sh\nexit 7\n");
  expect((await call("upgrade", "--admin", admin, "--binary", broken)).code).toBe(2);
  chmodSync(broken, 0o755);
  expect(await call("upgrade", "--admin", admin, "--binary", "broken")).toEqual({
    code: 1,
    out: "",
    err:
      "plimsoll: Nothing was changed: the new program exited with code 7 before it served; what it printed is in this " +
      "program's output\n",
  });
  expect((await call("upgrade", "--admin", admin, "--timeout", "5m")).code).toBe(2);
  expect((await call("status", "--admin", admin)).out).toContain("the last upgrade failed");

  const slow = fetch(`${web}/slow`).then((answer) => answer.text());
  await until("it is in flight", async () => {
    const status = JSON.parse((await call("status", "--json", "--admin", admin)).out);
    return status.pools[0].endpoints[0].inFlight === 1;
  });
  let answered = false;
  void slow.then(() => (answered = true));
  const stopped = await call("stop", "--admin", admin);
  expect([stopped.code, stopped.out]).toEqual([0, `Process ${pid} has stopped.\n`]);
  expect(answered).toBe(true);
  expect(await slow).toBe("hello");
  expect(await balancer.exited).toBe(0);
});

test("a balancer that is killed in the middle: the command says who has taken over, or that nobody has", async () => {
  configure();
  await using balancer = start("run");
  const web = await balancer.says(/^web (http:\S+)$/m);
  const directories = () => readdirSync(folder).filter((name) => name.startsWith("plimsoll-"));
  const admin = await adminOf(balancer);
  // Whoever takes over writes to the same pipes, and must not outlive a test that fails.
  await using _heirs = {
    [Symbol.asyncDispose]: async () => {
      for (const heir of runningPrograms([folder])) process.kill(heir.pid, "SIGKILL");
    },
  };
  await using upgrading = start("upgrade", "--admin", admin);
  await until("the new one was given everything", () => directories().length === 2);
  balancer.signal("SIGKILL");
  expect(await upgrading.exited).toBe(0);
  const [, pid, old] =
    /^Process (\d+), version 0\.1\.0, has taken over from process (\d+), which is gone\.\n$/.exec(upgrading.out()) ??
    [];
  expect(Number(old)).toBe(balancer.pid);
  expect(await (await fetch(web)).text()).toBe("hello");

  const never = join(folder, "never");
  // It says nothing, and ends with who started it.
  writeFileSync(never, "#!/bin/sh\nwhile kill -0 $PPID 2>/dev/null; do sleep 0.1; done\n");
  chmodSync(never, 0o755);
  await using lost = start("upgrade", "--admin", admin, "--binary", never, "--timeout", "3s");
  await until("it is under way", () =>
    directories().some((name) => name.startsWith(`plimsoll-${pid}-`) && existsSync(join(folder, name, "handover"))),
  );
  process.kill(Number(pid), "SIGKILL");
  expect(await lost.exited).toBe(1);
  expect(lost.err()).toBe(
    `plimsoll: Process ${pid} was ended in the middle of its upgrade, and no other has taken over: start the balancer again.\n`,
  );
});

test("`up` refuses it, and says why: its instances would end with it", async () => {
  const app = [process.execPath, join(fixtures, "node-app.mjs")];
  await using program = start("up", "-n", "1", "--port", "0", "--admin", "127.0.0.1:0", "--workers", "1", "--", ...app);
  const admin = new URL(await program.says(/admin on (http:\S+)/)).host;
  await program.says(/all 1 instances? (?:is|are) ready/);
  const refused = await call("upgrade", "--admin", admin);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain("the application's instances are children of it that would end with it");
  program.signal("SIGUSR2");
  await program.says(/upgrade.refused|children of it/);
  program.signal("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("a balancer of another user, or elsewhere, starts no other program for whoever asks over the network", async () => {
  configure();
  await using balancer = start("run");
  const admin = await adminOf(balancer);
  await using stranger = startProgram(["upgrade", "--admin", admin, "--binary", process.execPath], {
    env: { XDG_RUNTIME_DIR: join(folder, "missing") },
  });
  expect(await stranger.exited).toBe(1);
  expect(stranger.err()).toContain("--binary is for a balancer that this user runs on this machine");
  // Nor does a body name one.
  const answer = await fetch(`http://${admin}/upgrade`, {
    method: "POST",
    body: JSON.stringify({ binary: "/bin/false", command: ["/bin/false"] }),
  });
  expect(answer.status).toBe(200);
  const { pid } = (await answer.json()) as { pid: number };
  expect((await call("stop", "--admin", admin)).out).toBe(`Process ${pid} has stopped.\n`);
});

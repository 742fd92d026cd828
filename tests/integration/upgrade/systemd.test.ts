// Needs: systemd-analyze, systemd-socket-activate
// What a service manager gives and hears: sockets by name and by address, notes through start, reload, upgrade and stop, a
// watchdog that is silent when no worker lives. The manager is a socket of ours; the sockets are given by systemd's own tool.
import { afterEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { closeFd, libc, linux } from "../../../packages/balancer/src/net/libc.ts";
import { encodeAddress } from "../../../packages/balancer/src/net/socket-address.ts";
import { startLoad } from "../control/load.ts";
import { cleanUp, configFor, folder, isAlive, later, run, Running, startOrigin, until } from "../control/running.ts";

afterEach(cleanUp);

/** A NOTIFY_SOCKET: all notes that arrived, in order. */
function manager(): { readonly path: string; notes(): readonly string[] } {
  const path = join(folder(), "notify");
  const address = encodeAddress({ kind: "unix", path });
  if (typeof address === "string") throw new Error(address);
  const fd = libc.socket(linux.AF_UNIX, linux.SOCK_DGRAM | linux.SOCK_NONBLOCK, 0);
  expect(libc.bind(fd, address.bytes, address.bytes.length)).toBe(0);
  later(() => closeFd(fd));
  const seen: string[] = [];
  const buffer = new Uint8Array(4096);
  return {
    path,
    notes() {
      for (;;) {
        const length = Number(libc.recv(fd, buffer, buffer.length, linux.MSG_DONTWAIT));
        if (length < 0) return seen;
        seen.push(Buffer.from(buffer.subarray(0, length)).toString());
      }
    },
  };
}

const withoutWatchdog = (notes: readonly string[]) => notes.filter((note) => note !== "WATCHDOG=1");

test("a manager hears of start, reload, upgrade and stop, in the words of sd_notify", async () => {
  const { path, notes } = manager();
  const origin = startOrigin().port;
  const program = await run(configFor(0, [origin]), { env: { NOTIFY_SOCKET: path } });
  const port = await program.port();
  await until("it is told", () => notes().length === 1);
  expect(notes()[0]).toBe(`READY=1\nSTATUS=serving web on 127.0.0.1:${port}`);
  program.configure(configFor(0, [origin], { shutdown: { lag: "0s", window: "6s" } }));
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  program.configure("listeners: 3");
  expect((await program.admin("POST", "/reload")).status).toBe(422);
  program.configure(configFor(0, [origin]));
  await until("both reloads are told", () => notes().length === 5);
  // Type=notify-reload wants the moment at which the reload began, by the clock that all processes share.
  expect(notes()[1]).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+\nSTATUS=reloading$/);
  const uptime = Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]) * 1e6;
  const began = Number(/MONOTONIC_USEC=(\d+)/.exec(notes()[1] ?? "")?.[1]);
  expect(began).toBeGreaterThan(0);
  expect(began).toBeLessThanOrEqual(uptime + 1e6);
  expect(notes()[2]).toBe(`READY=1\nSTATUS=serving web on 127.0.0.1:${port}`);
  expect(notes()[3]).toStartWith("RELOADING=1");
  expect(notes()[4]).toStartWith("READY=1\nSTATUS=reload refused: ");
  expect((await program.admin("POST", "/upgrade")).status).toBe(200);
  const { pid } = program.note();
  await until("the new one tells", () => notes().length === 7);
  // In this order: a manager that hears only the main process would not hear the new one before.
  expect(notes().slice(5)).toEqual([`MAINPID=${pid}`, `READY=1\nSTATUS=serving web on 127.0.0.1:${port}`]);
  expect(await program.process.exited).toBe(0);
  process.kill(pid, "SIGTERM");
  await until("it is gone", () => !isAlive(pid));
  expect(notes().slice(7)).toEqual(["STOPPING=1\nSTATUS=stopping: SIGTERM\nEXTEND_TIMEOUT_USEC=10000000"]);
}, 60_000);

test("the watchdog is told as long as a worker lives, and no longer", async () => {
  const { path, notes } = manager();
  const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: "400000" };
  const program = await run(configFor(0, [startOrigin().port]), { env, stuckAfter: 60 });
  const beats = () => notes().filter((note) => note === "WATCHDOG=1").length;
  await until("it beats", () => beats() > 3);
  const [one, two] = program.workerPids();
  process.kill(one ?? 0, "SIGSTOP");
  const some = beats();
  // Longer than a worker may be silent: the other one is enough.
  await until("it goes on with one worker", () => beats() > some + 25, 20_000);
  process.kill(two ?? 0, "SIGSTOP");
  let last = -1;
  await until(
    "it is silent",
    async () => {
      const before = last;
      last = beats();
      await Bun.sleep(1_000);
      return beats() === before;
    },
    20_000,
  );
  process.kill(one ?? 0, "SIGCONT");
  await until("it beats again", () => beats() > last + 3);
  process.kill(two ?? 0, "SIGCONT");
}, 90_000);

test("a watchdog that is meant for another process is not ours", async () => {
  const { path, notes } = manager();
  const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: "100000", WATCHDOG_PID: "1" };
  const program = await run(configFor(0, [startOrigin().port]), { env });
  expect((await program.admin("POST", "/reload")).status).toBe(200);
  await until("all is told", () => notes().length === 3);
  expect(withoutWatchdog(notes())).toHaveLength(3);
}, 30_000);

/** A port that was free a moment ago. */
function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  probe.stop(true);
  return probe.port;
}

test("sockets from systemd's own tool: by name, by address, and one that nobody wants; handed on by an upgrade", async () => {
  const origin = startOrigin("hello").port;
  const [named, addressed, unwanted] = [freePort(), freePort(), freePort()];
  const routes = [{ pool: "app" }];
  const config = configFor(0, [origin], {
    listeners: {
      // Its name finds it, wherever its socket is.
      web: { address: "127.0.0.1:1", routes },
      side: { address: `127.0.0.1:${addressed}`, routes },
    },
  });
  const activate = [
    "systemd-socket-activate",
    ...["-E", "XDG_RUNTIME_DIR"],
    ...[named, addressed, unwanted].flatMap((port) => ["-l", `127.0.0.1:${port}`]),
    "--fdname=web:other:nobody",
  ];
  const program = new Running(config, { through: activate });
  // The tool starts the program when somebody connects, who waits until it serves.
  const early = until("the tool listens", () => get(named).catch(() => null));
  await program.ready();
  expect(await early).toBe("hello");
  async function get(port: number): Promise<string> {
    return (await fetch(`http://127.0.0.1:${port}/`, { keepalive: false })).text();
  }
  expect((await program.status()).listeners.map(({ name, port }) => [name, port])).toEqual([
    ["web", named],
    ["side", addressed],
  ]);
  expect([await get(named), await get(addressed)]).toEqual(["hello", "hello"]);
  expect((await program.told("sockets.unused")).text).toContain(`no listener is on 127.0.0.1:${unwanted}`);
  // Both workers accept from the one queue.
  const load = startLoad({ port: named, clients: 16, perConnection: 1 });
  await until("it is used", () => load.tally.answered > 300);
  const first = program.note().pid;
  expect((await program.admin("POST", "/upgrade")).status).toBe(200);
  await until("the old one is gone", () => !isAlive(first));
  const { requests } = load.tally;
  await until("the new one serves there", () => load.tally.requests > requests + 300);
  const tally = await load.stop();
  expect([tally.refused, tally.lost, tally.bad.size]).toEqual([0, 0, 0]);
  expect((await program.status()).listeners.map(({ port }) => port)).toEqual([named, addressed]);
}, 60_000);

test("the unit files are what systemd takes", async () => {
  const base = folder();
  const units = join(import.meta.dir, "../../../contrib/systemd");
  const service = readFileSync(join(units, "plimsoll.service"), "utf8");
  // The program is not installed here.
  writeFileSync(join(base, "plimsoll.service"), service.replaceAll("/usr/local/bin/plimsoll", process.execPath));
  writeFileSync(join(base, "plimsoll.socket"), readFileSync(join(units, "plimsoll.socket")));
  const check = Bun.spawn(
    ["systemd-analyze", "verify", join(base, "plimsoll.service"), join(base, "plimsoll.socket")],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  // Of the machine's own units it may complain; of ours it must not.
  const complaints = (await check.stderr.text()).split("\n").filter((text) => text.includes("plimsoll"));
  expect(complaints).toEqual([]);
  await check.exited;
}, 60_000);

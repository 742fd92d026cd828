// Reloads, upgrades and killed workers in one run under load: every request is answered but those that a killed worker had in
// its hands, each of which is traced to that worker. The size of the issue (100,000 requests, 20 reloads, 5 upgrades, 5 kills)
// with PLIMSOLL_WHOLE=1; a tenth of it otherwise.
import { afterEach, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "@plimsoll/testbed/certificates";
import { startLoad } from "../control/load.ts";
import { cleanUp, configOfTurn, folder, isAlive, run, startOrigin, until, type Running } from "../control/running.ts";

afterEach(cleanUp);

const whole = process.env["PLIMSOLL_WHOLE"] === "1";
const size = whole
  ? { requests: 100_000, reloads: 20, upgrades: 5, kills: 5 }
  : { requests: 5_000, reloads: 4, upgrades: 2, kills: 2 };

type Event = "reload" | "upgrade" | "kill";

/** What happens, spread over the run. */
function schedule(): Event[] {
  const all: [number, Event][] = [];
  const put = (count: number, event: Event) => {
    for (let i = 0; i < count; i++) all.push([(i + 0.5) / count, event]);
  };
  put(size.reloads, "reload");
  put(size.upgrades, "upgrade");
  put(size.kills, "kill");
  return all.sort((a, b) => a[0] - b[0]).map(([, event]) => event);
}

/** What a listener shows. */
async function certificate() {
  const made = await makeCertificate({ names: ["a.test"] });
  const base = folder();
  const [cert, key] = [join(base, "a.crt"), join(base, "a.key")];
  writeFileSync(cert, made.cert);
  writeFileSync(key, made.key, { mode: 0o600 });
  return { certificates: [{ cert, key }] };
}

/** Client ports of the connections to `port` that a process has open. */
function clientPorts(pid: number, port: number): number[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  return readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .flatMap((line) => {
      const [, local = "", remote = "", , , , , , , inode = ""] = line.trim().split(/\s+/);
      const to = (end: string) => Number.parseInt(end.slice(end.lastIndexOf(":") + 1), 16);
      return inodes.has(inode) && to(local) === port ? [to(remote)] : [];
    });
}

/** Kills a worker, and returns the client ports of what it had. */
async function killWorker(program: Running, row: number, port: number): Promise<number[]> {
  const status = await until("all workers serve", async () => {
    const seen = await program.status();
    return seen.workers.every((worker) => worker.serving) && seen;
  });
  const pid = status.workers[row]?.pid ?? 0;
  // It must not take another one between the look and its end.
  process.kill(pid, "SIGSTOP");
  await until("it stands", () => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "latin1")));
  const held = clientPorts(pid, port);
  process.kill(pid, "SIGKILL");
  await until("it is gone", () => !isAlive(pid));
  return held;
}

test.each(["plain", "TLS"])(
  `%s: ${size.requests} requests, half on new connections, during ${size.reloads} reloads, ${size.upgrades} upgrades and ${size.kills} worker kills`,
  async (kind) => {
    const secure = kind === "TLS";
    const tls = secure ? { tls: await certificate() } : {};
    const origins = [startOrigin().port, startOrigin().port, startOrigin().port];
    const config = (turn: number) => configOfTurn(turn, origins, tls);
    const program = await run(config(0));
    const port = await program.port();
    const kept = startLoad({ port, clients: 8, perConnection: 1_000_000, secure });
    const fresh = startLoad({ port, clients: 8, perConnection: 1, secure });
    const held = new Set<number>();
    const events = schedule();
    let reloads = 0;
    let upgrades = 0;
    for (const [index, event] of events.entries()) {
      const due = (size.requests / 2) * ((index + 1) / (events.length + 1));
      await until(`request ${due}`, () => fresh.tally.requests >= due && kept.tally.requests >= due, 120_000);
      if (event === "reload") {
        program.configure(config(++reloads));
        expect((await program.admin("POST", "/reload")).status).toBe(200);
      } else if (event === "upgrade") {
        upgrades++;
        const answer = await program.admin("POST", "/upgrade");
        expect([answer.status, answer.text]).toEqual([200, answer.text]);
      } else {
        for (const client of await killWorker(program, index % 2, port)) held.add(client);
      }
    }
    const half = size.requests / 2;
    await until("all are asked", () => fresh.tally.requests >= half && kept.tally.requests >= half, 120_000);
    const tallies = [await kept.stop(), await fresh.stop()] as const;
    const [k, f] = tallies;
    const lost = tallies.flatMap((tally) => tally.lostPorts);
    const facts = {
      requests: [k.requests, f.requests],
      connections: [k.connections, f.connections],
      lostToKilledWorkers: lost.filter((client) => held.has(client)).length,
    };
    if (whole) console.log(JSON.stringify({ kind, ...facts, reloads, upgrades, kills: size.kills }));
    expect({
      refused: k.refused + f.refused,
      lostOtherwise: lost.filter((client) => !held.has(client)).length,
      bad: [...k.bad, ...f.bad],
    }).toEqual({ refused: 0, lostOtherwise: 0, bad: [] });
    expect([reloads, upgrades]).toEqual([size.reloads, size.upgrades]);
    expect(k.requests + f.requests).toBeGreaterThanOrEqual(size.requests);
  },
  600_000,
);

// Datagrams: their origin, their load, and whether somebody answers them.
import { join } from "node:path";
import { type Program, startProgram } from "@plimsoll/testbed/processes";
import { cores, pinned } from "./cores.ts";
import type { Load } from "./scenarios/scenario.ts";
import type { Seen } from "./wrk.ts";

/** Starts the origin on so many ports from `first` on. */
export function startEcho(first: number, count: number): Promise<Program> {
  const argv = [process.execPath, join(import.meta.dir, "udp-echo.ts"), String(first), String(count)];
  return startProgram(pinned(cores.origin, argv), { ready: /^echoing/ });
}

/** As many clients as the load has connections, for so many seconds. */
export async function loadDatagrams(port: number, load: Load, seconds: number): Promise<Seen> {
  const argv = [join(import.meta.dir, "udp-load.ts"), String(port), String(load.connections), String(seconds)];
  const command = pinned(cores.load, [process.execPath, ...argv]);
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const out = await child.stdout.text();
  const code = await child.exited;
  if (code !== 0) throw new Error(`the load of datagrams ended with ${code}`);
  return JSON.parse(out) as Seen;
}

/** Whether a datagram comes back from a port within a moment. */
export async function echoes(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: { data: () => resolve(true), error: () => resolve(false) },
  });
  const timer = setTimeout(() => resolve(false), 200);
  socket.send("anybody?");
  const answered = await promise;
  clearTimeout(timer);
  socket.close();
  return answered;
}

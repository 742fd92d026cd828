// Origins that send back what they get, and whether a datagram comes back from one. Their loads are udp-load.ts and ws-load.ts.
import { join } from "node:path";
import { type Program, startProgram } from "@plimsoll/testbed/processes";
import { cores, pinned } from "./cores.ts";

/** Starts one on so many ports from `first` on: of datagrams, or of whatever WebSockets carry. */
export function startEcho(kind: "udp" | "ws", first: number, count: number): Promise<Program> {
  const argv = [process.execPath, join(import.meta.dir, `${kind}-echo.ts`), String(first), String(count)];
  return startProgram(pinned(cores.origin, argv), { ready: /^echoing/ });
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

// One measurement at a time on a machine: two would share cores, and their listeners ports.
import { createServer, type Server } from "node:net";

/** Whoever holds this port has its turn; the kernel gives it back even when the holder is killed. */
const turnPort = 20_999;

/** Waits for this process's turn. Returns what ends it. `waiting` is called once when somebody else has it. */
export async function takeTurn(waiting: () => void): Promise<() => Promise<void>> {
  let told = false;
  for (;;) {
    const server = await hold();
    if (server) return () => new Promise((resolve) => server.close(() => resolve()));
    if (!told) waiting();
    told = true;
    await Bun.sleep(500);
  }
}

/**
 * Throws if something listens at one of `ports` on loopback: it would be measured for what was meant to be, as a
 * balancer left behind by an earlier run once was, at 0.0 us a request.
 */
export async function mustBeFree(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const server = await hold(port);
    if (!server)
      throw new Error(`something else listens at 127.0.0.1:${port}, which is for this measurement: stop it first`);
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

function hold(port = turnPort): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: Error & { code?: string }) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

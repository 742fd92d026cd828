// A peer that vanished sends no end, and must be found all the same: what the kernel was told of each connection.
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { cleanUp, later, run, until } from "../control/running.ts";

afterEach(cleanUp);

/** An endpoint that switches whatever it is asked to another protocol, and then sends back what it gets. */
function startEndpoint(): number {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        const upgrade = bytes.toString().startsWith("GET ");
        socket.write(
          upgrade ? "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n" : bytes,
        );
      },
    },
  });
  later(() => server.stop(true));
  return server.port;
}

interface Socket {
  readonly local: number;
  readonly remote: number;
  /** 2 = the kernel will ask when that is due. */
  readonly timer: number;
  /** Hundredths of a second. */
  readonly due: number;
}

/** The established connections of this machine, by their ports. */
function sockets(): Socket[] {
  return readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .flatMap((line) => {
      const [, local = "", remote = "", state, , timer = ""] = line.trim().split(/\s+/);
      const hex = (text: string | undefined) => Number.parseInt(text ?? "", 16);
      if (state !== "01") return [];
      const [kind, due] = timer.split(":");
      return [{ local: hex(local.split(":")[1]), remote: hex(remote.split(":")[1]), timer: hex(kind), due: hex(due) }];
    });
}

const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

for (const [kind, protocol, first, answer] of [
  ["a connection that is passed on", "tcp", "hello", "hello"],
  ["a tunnel", "http", upgrade, "HTTP/1.1 101"],
] as const) {
  test(`${kind}: both peers are asked after a minute of silence`, async () => {
    const endpoint = startEndpoint();
    const program = await run({
      listeners: { web: { address: "127.0.0.1:0", protocol, routes: [{ pool: "app" }] } },
      pools: { app: { endpoints: [`127.0.0.1:${endpoint}`], readiness: "off" } },
      admin: { address: "127.0.0.1:0" },
      log: { access: "none" },
      workers: 1,
    });
    const port = await program.port();
    let received = "";
    const client = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data: (_, bytes) => void (received += bytes.toString()) },
    });
    later(() => client.terminate());
    client.write(first);
    await until("it is through", () => received.startsWith(answer));
    const { localPort } = client;
    for (const [side, ours] of [
      ["client", (one: Socket) => one.local === port && one.remote === localPort],
      ["endpoint", (one: Socket) => one.remote === endpoint],
    ] as const) {
      // Until what was sent is acknowledged, another timer runs.
      const found = await until(`the ${side} is asked`, () => sockets().find((one) => ours(one) && one.timer === 2));
      // Two hours is what the system would wait by itself.
      expect(found.due).toBeLessThanOrEqual(6_100);
    }
  });
}

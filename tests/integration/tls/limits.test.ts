// What clients may hold who have not shaken hands yet: they are counted from the moment they connect.
// Needs: curl
import { afterEach, expect, test } from "bun:test";
import { cleanUp, configFor, later, run, startOrigin, until } from "../control/running.ts";
import { certificates, curl } from "./stage.ts";

afterEach(cleanUp);

/** Somebody who connects, says `first`, and nothing more. */
async function connect(port: number, first: Uint8Array) {
  const seen = { closed: false, end: () => {} };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: { data() {}, close: () => void (seen.closed = true) },
    // Refused so fast that it was never seen to be open.
  }).catch(() => null);
  if (socket === null) return { ...seen, closed: true };
  if (first.length > 0) socket.write(first);
  seen.end = () => socket.terminate();
  later(seen.end);
  return seen;
}

const kinds = {
  "TLS from the first byte": {},
  "where a PROXY header may stand in front": { proxyProtocol: "accept", trustedProxies: ["10.0.0.0/8"] },
};

for (const [kind, over] of Object.entries(kinds)) {
  test(`connectionsPerClient holds before and within the handshake: ${kind}`, async () => {
    const made = await certificates();
    const site = await made.issue("site", ["a.test"]);
    const web = {
      address: "127.0.0.1:0",
      limits: { connectionsPerClient: 2 },
      tls: { certificates: [site] },
      routes: [{ pool: "app" }],
      ...over,
    };
    const program = await run(configFor(0, [startOrigin().port], { listeners: { web }, workers: 1 }));
    const port = await program.port();
    const ask = (from: string) => curl(`a.test:${port}`, ["--cacert", made.ca, "--interface", from]);
    // One says nothing, one begins a record (RFC 8446 §5.1): neither will ever be done.
    const [silent, begun] = [await connect(port, new Uint8Array(0)), await connect(port, Uint8Array.of(22, 3, 1))];
    const third = await connect(port, new Uint8Array(0));
    await until("the third is closed", () => third.closed);
    expect([silent.closed, begun.closed]).toEqual([false, false]);
    // Somebody else is served, and the same client again once one of its two has gone.
    expect((await ask("127.0.0.5")).status).toBe(200);
    expect((await ask("127.0.0.1")).status).toBe(0);
    begun.end();
    await until("it is served", async () => (await ask("127.0.0.1")).status === 200);
    silent.end();
    // What is let go of is let go of once: with two more there is no third again.
    const more = [await connect(port, new Uint8Array(0)), await connect(port, Uint8Array.of(22, 3, 1))];
    const last = await connect(port, new Uint8Array(0));
    await until("one is closed", () => [...more, last].some(({ closed }) => closed));
    const { text } = await program.admin("GET", "/metrics");
    const refused = Number(/^plimsoll_listener_connections_refused_total\{.*\} (\d+)$/m.exec(text)?.[1]);
    expect(refused).toBeGreaterThanOrEqual(3);
  }, 30_000);
}

import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import tls from "node:tls";
import { startConnect } from "../../../packages/balancer/src/net/connecting-socket.ts";
import { recordingHandlers, seen, type Seen, until, untyped } from "./raw-pair.ts";

const pem = (name: string) => readFileSync(join(import.meta.dir, "certificates", name), "utf8");
const a = tls.createSecureContext({ cert: pem("a-ec.crt"), key: pem("a-ec.key") });
const b = tls.createSecureContext({ cert: pem("b-ec.crt"), key: pem("b-ec.key") });

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Upgradable {
  upgradeTLS(options: object): readonly [{ data: unknown }, unknown] | undefined;
}

/** A plain listener that reads `header` bytes and then upgrades; what the encrypted side sees is in `far`. */
function listen(header: number, handlers: object = {}) {
  const far = seen();
  const plain: string[] = [];
  const listener = Bun.listen<Seen>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      binaryType: "uint8array",
      data(socket, chunk) {
        // The plain side goes on hearing the encrypted bytes (decision: it gets a handler that is deaf).
        if (untyped<{ data: unknown }>(socket).data === "the plain side") return;
        plain.push(Buffer.from(chunk.subarray(0, header)).toString());
        const pair = untyped<Upgradable>(socket).upgradeTLS({
          isServer: true,
          data: far,
          tls: { secureContext: a.context },
          socket: { ...recordingHandlers(), ...handlers },
          initialData: chunk.subarray(header),
        });
        pair![0].data = "the plain side";
      },
    },
  });
  cleanups.push(() => listener.stop(true));
  return { port: listener.port, far, plain };
}

describe("TLS on a plain socket that was accepted (decision: PROXY protocol stands in front of TLS)", () => {
  test("upgradeTLS({ isServer, initialData }) begins a handshake with bytes that were read already", async () => {
    const { port, far, plain } = listen(4);
    const raw = await new Promise<tls.TLSSocket>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.write("HEAD");
        const client = tls.connect({ socket, rejectUnauthorized: false, servername: "a.example" }, () =>
          resolve(client),
        );
        client.on("error", reject);
      });
    });
    raw.write("hello");
    await until(() => far.text === "hello");
    expect(plain[0]).toBe("HEAD");
    expect(raw.getPeerCertificate().subject?.CN).toBe("a.example");
    raw.destroy();
    await until(() => far.events.includes("close") || far.events.includes("end"));
  });

  test("serverName and alpnCallback work there, too", async () => {
    const { port } = listen(0, { serverName: () => b.context, alpnCallback: () => "http/1.1" });
    const options = { host: "127.0.0.1", port, servername: "b.example", rejectUnauthorized: false };
    const client = tls.connect({ ...options, ALPNProtocols: ["h2", "http/1.1"] });
    await new Promise<void>((resolve) => client.once("secureConnect", () => resolve()));
    expect(client.getPeerCertificate().subject?.CN).toBe("b.example");
    expect(client.alpnProtocol).toBe("http/1.1");
    client.destroy();
  });
});

describe("TLS on a plain socket of ours (decision: PROXY protocol stands in front of TLS to endpoints)", () => {
  /** Connects, says HEAD in plain text, and shakes hands; resumes `session` if there is one. Resolves with both sides' news. */
  function shake(port: number, session: Uint8Array | null) {
    const near = seen();
    const plain: string[] = [];
    const over = Promise.withResolvers<{ readonly near: Seen; readonly reused: boolean; session: Uint8Array | null }>();
    const fd = startConnect({ kind: "tcp", host: "127.0.0.1", port }) as number;
    void Bun.connect({
      fd,
      allowHalfOpen: true,
      data: "the plain side",
      socket: {
        open: () => void plain.push("open"),
        drain(socket: { write(text: string): number }) {
          if (plain.push("drain") > 2) return;
          socket.write("HEAD");
          const news = { near, reused: false, session: null as Uint8Array | null };
          const pair = untyped<Upgradable>(socket).upgradeTLS({
            data: near,
            tls: { secureContext: b.context, rejectUnauthorized: false, serverName: "a.example" },
            socket: {
              ...recordingHandlers(),
              // Before its first bytes are made: a session that is set here is offered.
              open: (side: { setSession(session: Uint8Array): void }) => session !== null && side.setSession(session),
              session: (_: unknown, offered: Uint8Array) => void (news.session = offered),
              handshake(side: { isSessionReused(): boolean; write(text: string): number }) {
                news.reused = untyped<{ isSessionReused(): boolean }>(side).isSessionReused();
                side.write("hello");
                over.resolve(news);
              },
            },
          });
          pair![0].data = "the plain side";
        },
        data() {},
      },
    } as never);
    return over.promise;
  }

  test("upgradeTLS without isServer shakes hands as a client, and resumes what `open` is given", async () => {
    const { port, far, plain } = listen(4, {
      data: (socket: { write(text: string): number }) => void socket.write("hi"),
    });
    const first = await shake(port, null);
    await until(() => first.near.text === "hi" && first.session !== null);
    const second = await shake(port, first.session);
    await until(() => second.near.text === "hi");
    expect(plain).toEqual(["HEAD", "HEAD"]);
    expect([first.reused, second.reused]).toEqual([false, true]);
    expect(far.events).not.toContain("error");
  });
});

describe("encrypted sockets", () => {
  test("one that is paused within its data is given the rest of what was read (decision: it is kept)", async () => {
    const far = seen();
    const listener = Bun.listen<Seen>({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: pem("a-ec.crt"), key: pem("a-ec.key") },
      socket: {
        ...recordingHandlers(),
        open: (socket) => void (socket.data = far),
        data(socket, chunk) {
          far.bytes += chunk.length;
          far.events.push("data");
          socket.pause();
        },
      },
    });
    cleanups.push(() => listener.stop(true));
    const client = tls.connect({ host: "127.0.0.1", port: listener.port, rejectUnauthorized: false });
    await new Promise<void>((resolve) => client.once("secureConnect", () => resolve()));
    client.write(new Uint8Array(4_000_000));
    await until(() => far.events.length > 1);
    client.destroy();
  });
});

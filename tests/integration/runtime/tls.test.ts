import { dlopen } from "bun:ffi";
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import tls from "node:tls";
import { openListeningSocket } from "../../../packages/balancer/src/net/listening-socket.ts";
import { until } from "./raw-pair.ts";

// Made with openssl, self-signed, valid for a hundred years: a.example with RSA and with ECDSA, b.example with ECDSA.
const pem = (name: string) => readFileSync(join(import.meta.dir, "certificates", name), "utf8");
const rsaA = { cert: pem("a-rsa.crt"), key: pem("a-rsa.key") };
const ecdsaA = { cert: pem("a-ec.crt"), key: pem("a-ec.key") };
const ecdsaB = { cert: pem("b-ec.crt"), key: pem("b-ec.key") };

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface TlsListener {
  readonly port: number;
}

/** A TLS listener; `handlers` and `options` go beyond what the typings know. */
function listen(options: object, handlers: object = {}, top: object = {}): TlsListener {
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    ...top,
    tls: options,
    socket: {
      data: (socket: { write(data: Uint8Array): number }, chunk: Uint8Array) => void socket.write(chunk),
      ...handlers,
    },
  } as never) as unknown as TlsListener & { stop(closeActive: boolean): void };
  cleanups.push(() => listener.stop(true));
  return listener;
}

interface Outcome {
  readonly name?: string | undefined;
  /** 256 for ECDSA on P-256, 2048 for RSA. */
  readonly bits?: number | undefined;
  readonly protocol?: string | null;
  readonly alpn?: string | false | null;
  readonly reused?: boolean;
  readonly session?: Buffer | undefined;
  readonly error?: string;
}

function handshake(port: number, options: tls.ConnectionOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const client = tls.connect(
      { host: "127.0.0.1", port, servername: "a.example", rejectUnauthorized: false, ...options },
      () => {
        const peer = client.getPeerCertificate();
        // An echo, so that it is known to work; TLS 1.3 sends its verdict on client certificates only after "connected".
        client.on("data", () => {
          resolve({
            name: peer.subject?.CN as string | undefined,
            bits: peer.bits,
            protocol: client.getProtocol(),
            alpn: client.alpnProtocol,
            reused: client.isSessionReused(),
            session: client.getSession(),
          });
          client.destroy();
        });
        client.write("ping");
      },
    );
    client.on("error", (error: Error & { code?: string }) => {
      resolve({ error: error.code ?? error.message });
      client.destroy();
    });
    client.on("close", () => resolve({ error: "closed without a word" }));
  });
}

describe("many certificates on one listener (decision: replaced without a restart, chosen in the handshake)", () => {
  test("serverName(data, name, socket) returns the native context; nothing means the listener's own", async () => {
    const seen: unknown[][] = [];
    const contexts = new Map([["b.example", tls.createSecureContext(ecdsaB)]]);
    const { port } = listen(
      rsaA,
      {
        serverName(data: unknown, name: string, socket: { write: unknown }) {
          seen.push([data, name, typeof socket.write]);
          return contexts.get(name)?.context;
        },
      },
      { data: { mine: true } },
    );
    expect(await handshake(port, { servername: "b.example" })).toMatchObject({ name: "b.example", bits: 256 });
    expect(await handshake(port, { servername: "a.example" })).toMatchObject({ name: "a.example", bits: 2048 });
    expect(seen[0]).toEqual([{ mine: true }, "b.example", "function"]);
    // Replaced while it listens.
    contexts.set("a.example", tls.createSecureContext(ecdsaA));
    expect(await handshake(port, { servername: "a.example" })).toMatchObject({ name: "a.example", bits: 256 });
  });

  test("RSA and ECDSA together in one context: the client's ciphers decide", async () => {
    const both = tls.createSecureContext({ cert: [rsaA.cert, ecdsaA.cert], key: [rsaA.key, ecdsaA.key] });
    const { port } = listen(ecdsaB, { serverName: () => both.context });
    const with12 = (ciphers: string) => handshake(port, { maxVersion: "TLSv1.2", ciphers });
    expect(await with12("ECDHE-ECDSA-AES128-GCM-SHA256")).toMatchObject({ name: "a.example", bits: 256 });
    expect(await with12("ECDHE-RSA-AES128-GCM-SHA256")).toMatchObject({ name: "a.example", bits: 2048 });
  });

  test("true means later: the handshake waits for socket.resumeSNI(context)", async () => {
    const { port } = listen(rsaA, {
      serverName(_: unknown, name: string, socket: { resumeSNI(context: unknown): void }) {
        setTimeout(
          () => socket.resumeSNI(name === "b.example" ? tls.createSecureContext(ecdsaB).context : undefined),
          20,
        );
        return true;
      },
    });
    expect(await handshake(port, { servername: "b.example" })).toMatchObject({ name: "b.example" });
    expect(await handshake(port, { servername: "a.example" })).toMatchObject({ name: "a.example", bits: 2048 });
  });

  test("anything else ends the handshake; a promise is not waited for", async () => {
    for (const answer of [false, 0, Promise.resolve(tls.createSecureContext(ecdsaB).context)]) {
      const { port } = listen(rsaA, { serverName: () => answer });
      expect((await handshake(port)).error).toBe("ECONNRESET");
    }
  });
});

describe("ALPN (decision: one listener speaks h2 and http/1.1)", () => {
  const h2AndHttp1 = "\x02h2\x08http/1.1";

  test("ALPNProtocols is wire format, as a string or an ArrayBuffer; no overlap ends the handshake", async () => {
    for (const protocols of [h2AndHttp1, new TextEncoder().encode(h2AndHttp1).buffer]) {
      const { port } = listen({ ...rsaA, ALPNProtocols: protocols });
      expect(await handshake(port, { ALPNProtocols: ["http/1.1"] })).toMatchObject({ alpn: "http/1.1" });
      expect(await handshake(port, { ALPNProtocols: ["http/1.1", "h2"] })).toMatchObject({ alpn: "h2" });
      expect(await handshake(port)).toMatchObject({ alpn: false });
      expect((await handshake(port, { ALPNProtocols: ["h3"] })).error).toContain("NO_APPLICATION_PROTOCOL");
    }
  });

  test("a list with commas is not understood: nobody who offers a protocol gets in", async () => {
    const { port } = listen({ ...rsaA, ALPNProtocols: "h2,http/1.1" });
    expect((await handshake(port, { ALPNProtocols: ["http/1.1"] })).error).toContain("NO_APPLICATION_PROTOCOL");
  });

  test("alpnCallback(socket, name, offered) decides by name; undefined ends the handshake", async () => {
    const offers: string[] = [];
    const { port } = listen(rsaA, {
      alpnCallback(_: unknown, name: string, offered: Uint8Array) {
        offers.push(Buffer.from(offered).toString("latin1"));
        return name === "b.example" ? "http/1.1" : undefined;
      },
    });
    const ALPNProtocols = ["h2", "http/1.1"];
    expect(await handshake(port, { servername: "b.example", ALPNProtocols })).toMatchObject({ alpn: "http/1.1" });
    expect((await handshake(port, { ALPNProtocols })).error).toContain("NO_APPLICATION_PROTOCOL");
    expect(offers[0]).toBe(h2AndHttp1);
  });
});

describe("choosing a certificate by protocol (decision: TLS-ALPN-01 reads the hello before the handshake)", () => {
  test("serverName comes first and does not know the protocols; alpnCallback comes when the certificate is chosen", async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const calls: unknown[][] = [];
      const { port } = listen(rsaA, {
        serverName(_: unknown, name: string, socket: { readonly alpnProtocol: unknown }) {
          calls.push(["serverName", name, socket.alpnProtocol]);
        },
        alpnCallback(...words: unknown[]) {
          // Not the socket, so that nothing could be asked of it.
          calls.push(["alpnCallback", words.length]);
          return "acme-tls/1";
        },
      });
      const found = await handshake(port, { ALPNProtocols: ["acme-tls/1"], maxVersion });
      expect(found).toMatchObject({ name: "a.example", alpn: "acme-tls/1" });
      expect(calls).toEqual([
        ["serverName", "a.example", false],
        ["alpnCallback", 3],
      ]);
    }
  });
});

describe("TLS options (decision: 1.2 and up, set per listener)", () => {
  test("minVersion and maxVersion are numbers; names are refused", async () => {
    const only13 = listen({ ...rsaA, minVersion: 0x0304 });
    expect((await handshake(only13.port, { maxVersion: "TLSv1.2" })).error).toContain("PROTOCOL_VERSION");
    expect(await handshake(only13.port)).toMatchObject({ protocol: "TLSv1.3" });
    const only12 = listen({ ...rsaA, maxVersion: 0x0303 });
    expect(await handshake(only12.port)).toMatchObject({ protocol: "TLSv1.2" });
    expect(() => listen({ ...rsaA, minVersion: "TLSv1.3" })).toThrow("minVersion must be a number");
  });

  test("TLS 1.1 is refused without being told to", async () => {
    const { port } = listen(rsaA);
    expect((await handshake(port, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1" })).error).toBeDefined();
  });

  test("requestCert with ca asks for a client certificate and checks it", async () => {
    const { port } = listen({ ...rsaA, requestCert: true, rejectUnauthorized: true, ca: ecdsaB.cert });
    expect((await handshake(port)).error).toContain("CERTIFICATE_REQUIRED");
    expect(await handshake(port, ecdsaB)).toMatchObject({ name: "a.example" });
    // One that `ca` has not signed is closed before any data is handed over, and without an alert.
    expect((await handshake(port, ecdsaA)).error).toBe("closed without a word");
  });

  test("ecdhCurve says which groups are spoken, X25519MLKEM768 among them", async () => {
    const { port } = listen({ ...rsaA, ecdhCurve: "X25519MLKEM768:X25519" });
    expect(await handshake(port)).toMatchObject({ protocol: "TLSv1.3" });
    expect(await handshake(port, { ecdhCurve: "X25519MLKEM768" })).toMatchObject({ protocol: "TLSv1.3" });
    expect((await handshake(port, { ecdhCurve: "P-256" })).error).toContain("HANDSHAKE_FAILURE");
  });

  test("an inherited listening descriptor may speak TLS", async () => {
    const { symbols } = dlopen("libc.so.6", { dup: { args: ["i32"], returns: "i32" } });
    const first = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = first;
    const fd = symbols.dup((first as unknown as { fd: number }).fd);
    first.stop();
    listen(rsaA, {}, { fd });
    expect(await handshake(port)).toMatchObject({ name: "a.example" });
  });
});

describe("resumption", () => {
  test("a session is resumed by the listener that issued it and by no other (no shared ticket keys)", async () => {
    // Decision: resumption works within a worker only, until there is another transport.
    const [one, other] = [listen(rsaA), listen(rsaA)];
    const tls12 = { maxVersion: "TLSv1.2" } as const;
    const first = await handshake(one.port, tls12);
    expect(first.reused).toBe(false);
    const session = first.session!;
    expect((await handshake(one.port, { ...tls12, session })).reused).toBe(true);
    expect((await handshake(other.port, { ...tls12, session })).reused).toBe(false);
  });
});

test("a client that breaks off in the handshake costs its connection only", async () => {
  let closed = 0;
  const { port } = listen(rsaA, { close: () => void closed++, error() {}, open() {} });
  const client = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
  client.write("GET / HTTP/1.1\r\n\r\n");
  await until(() => closed === 1);
  expect(await handshake(port)).toMatchObject({ name: "a.example" });
});

/** What a client says first when it asks for a name. */
async function firstWords(name: string): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const ear = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: (_, chunk) => resolve(chunk.slice()) } });
  const client = tls.connect({ host: "127.0.0.1", port: ear.port, servername: name });
  client.on("error", () => {});
  const said = await promise;
  client.destroy();
  ear.stop(true);
  return said;
}

test("of handshakes that wait, five are read in a turn of the loop, and the newest first (decision: begun in the order in which they came, net/turnstile.ts)", async () => {
  const names = Array.from({ length: 20 }, (_, at) => `n${at}.example`);
  const { fd, port } = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 });
  // All have said hello before anybody listens to them.
  for (const name of names) {
    const client = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {}, error() {} } });
    client.write(await firstWords(name));
    cleanups.push(() => client.terminate());
  }
  const heard: string[] = [];
  const context = tls.createSecureContext(ecdsaA).context;
  listen(ecdsaA, { serverName: (_: unknown, name: string) => (heard.push(name), context) }, { fd });
  await until(() => heard.length === names.length);
  const order = heard.map((name) => names.indexOf(name));
  // Who is read at once is up to the kernel; whoever is sixth waits, and everybody who comes later goes before it.
  expect(order.slice(0, 5)).toEqual([0, 1, 2, 3, 4]);
  expect(order.slice(5, 10).every((at) => at >= 15)).toBe(true);
  expect(order.slice(15).every((at) => at < 10)).toBe(true);
});

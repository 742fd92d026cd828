import { afterEach, describe, expect, test } from "bun:test";
import { connect, type ConnectionOptions } from "node:tls";
import { testAuthority } from "@plimsoll/testbed/authority";
import type { MadeCertificate } from "@plimsoll/testbed/certificates";
import { createBunTransport } from "./bun-transport.ts";
import { bytes, cleanUp, cleanups, passed, Recorder, say } from "./fixtures/connections.ts";
import { clientTls, contextDefaults, serverTls } from "./fixtures/encrypted.ts";
import { Handshakes } from "./handshakes.ts";
import { openListeningSocket } from "./listening-socket.ts";
import { tlsContext } from "./tls-context.ts";
import type { ClientTls, ServerTls } from "./tls.ts";
import type { Accept, Connection, Listener } from "./transport.ts";

afterEach(cleanUp);

// Not the fixtures' transport: here every test says itself what is encrypted.
const transport = createBunTransport();
const authority = await testAuthority();
const a = await authority.issue(["a.example", "127.0.0.1"]);
const b = await authority.issue(["b.example"]);

interface Listening {
  readonly listener: Listener;
  readonly accepted: { readonly connection: Connection; readonly seen: Recorder }[];
}

function listen(tls: ServerTls): Listening {
  const accepted: Listening["accepted"] = [];
  const listener = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 }, tls }, (connection) => {
    const seen = new Recorder();
    accepted.push({ connection, seen });
    void seen.seen("end").then(() => connection.close());
    cleanups.push(() => connection.reset());
    return seen;
  });
  cleanups.push(() => listener.close());
  return { listener, accepted };
}

function dial(port: number, tls?: ClientTls): { readonly connection: Connection; readonly seen: Recorder } {
  const seen = new Recorder();
  const connection = transport.connect({ kind: "tcp", host: "127.0.0.1", port }, seen, tls);
  cleanups.push(() => connection.reset());
  return { connection, seen };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await passed(1);
}

/** Another program's view: Node's TLS client, and what it got. */
function foreign(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    let got = "closed";
    const client = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options }, () => {
      got = String(client.getPeerCertificate().subject?.CN ?? "connected");
      // Not destroyed: the other side may not have seen the end of the handshake yet.
      client.end();
    });
    client.on("error", (error: Error & { code?: string }) => (got = error.code ?? error.message));
    client.on("close", () => resolve(got));
  });
}

describe("facts of a handshake", () => {
  test("version, suite, name, protocol, and whether it was resumed, on both sides", async () => {
    const { listener, accepted } = listen(serverTls({ certificates: [a] }, { alpn: ["http/1.1"] }));
    const tls = clientTls(authority.cert, { serverName: "a.example" });
    const first = dial(listener.port, tls);
    await first.seen.seen("open");
    await until(() => accepted.length === 1);
    expect(first.connection.tls).toMatchObject({ version: "TLSv1.3", resumed: false, peer: null });
    expect(accepted[0]!.connection.tls).toEqual({
      version: "TLSv1.3",
      cipher: first.connection.tls!.cipher,
      alpn: "",
      serverName: "a.example",
      resumed: false,
      peer: null,
    });
    expect(first.connection.tls!.cipher).toStartWith("TLS_");
    // Sessions are offered with the first bytes that are sent (BoringSSL saves a packet).
    say(accepted[0]!.connection, "hello");
    await until(() => tls.session !== null);
    const second = dial(listener.port, tls);
    await second.seen.seen("open");
    expect(second.connection.tls!.resumed).toBe(true);
    await until(() => accepted.length === 2);
    expect(accepted[1]!.connection.tls!.resumed).toBe(true);
  });

  test("a plain connection has none", async () => {
    const listener = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (connection) => {
      expect(connection.tls).toBeNull();
      return new Recorder();
    });
    cleanups.push(() => listener.close());
    const { connection, seen } = dial(listener.port);
    await seen.seen("open");
    expect(connection.tls).toBeNull();
  });

  test("ALPN: the protocol in common, none when none is offered, refused when only others are", async () => {
    const tls = serverTls({ certificates: [a] }, { alpn: ["http/1.1"] });
    const { listener, accepted } = listen(tls);
    const offer = (protocols: string[]) =>
      foreign(listener.port, { servername: "a.example", ALPNProtocols: protocols });
    expect(await offer(["h2", "http/1.1"])).toBe("a.example");
    expect(await foreign(listener.port, { servername: "a.example" })).toBe("a.example");
    expect(await offer(["h2"])).toContain("NO_APPLICATION_PROTOCOL");
    await until(() => tls.failures.length === 1);
    expect(accepted.map(({ connection }) => connection.tls!.alpn)).toEqual(["http/1.1", ""]);
    expect(tls.failures[0]).toMatchObject({ reason: "protocol", serverName: "a.example" });
  });
});

describe("names", () => {
  test("each name gets its context, an unknown one what `choose` says, nobody the listener's own", async () => {
    const contexts = new Map([["b.example", tlsContext({ ...contextDefaults, certificates: [b] })]]);
    const tls = serverTls({ certificates: [a] }, { choose: (name) => contexts.get(name) ?? tls.context });
    const { listener } = listen(tls);
    expect(await foreign(listener.port, { servername: "B.Example" })).toBe("b.example");
    expect(await foreign(listener.port, { servername: "c.example" })).toBe("a.example");
    expect(await foreign(listener.port, {})).toBe("a.example");
  });

  test("strict: an unknown name is refused, and so is who names nobody", async () => {
    const known = tlsContext({ ...contextDefaults, certificates: [a] });
    const tls = serverTls({}, { choose: (name) => (name === "a.example" ? known : null) });
    const { listener, accepted } = listen(tls);
    expect(await foreign(listener.port, { servername: "a.example" })).toBe("a.example");
    expect(await foreign(listener.port, { servername: "c.example" })).not.toBe("a.example");
    expect(await foreign(listener.port, {})).not.toBe("a.example");
    await until(() => tls.failures.length === 2);
    expect(tls.failures.map(({ reason, serverName }) => [reason, serverName])).toEqual([
      ["name", "c.example"],
      ["name", ""],
    ]);
    expect(accepted.length).toBe(1);
  });

  test("RSA and ECDSA of one name: the client's suites decide", async () => {
    const rsa = await authority.issue(["a.example"], { key: "RSA-2048", subject: "CN=rsa" });
    const ecdsa = await authority.issue(["a.example"], { subject: "CN=ecdsa" });
    const { listener } = listen(serverTls({ certificates: [ecdsa, rsa] }));
    const with12 = (ciphers: string) =>
      foreign(listener.port, { servername: "a.example", maxVersion: "TLSv1.2", ciphers });
    expect(await with12("ECDHE-ECDSA-AES128-GCM-SHA256")).toBe("ecdsa");
    expect(await with12("ECDHE-RSA-AES128-GCM-SHA256")).toBe("rsa");
    expect(await foreign(listener.port, { servername: "a.example" })).toBe("ecdsa");
  });
});

test("of the suites that both speak, the first of ours is chosen", async () => {
  const [fast, long] = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"];
  for (const order of [`${fast}:${long}`, `${long}:${fast}`]) {
    const { listener, accepted } = listen(serverTls({ certificates: [a], maxVersion: "1.2", ciphers: order }));
    const offered = { servername: "a.example", maxVersion: "TLSv1.2", ciphers: `${long}:${fast}` } as const;
    expect(await foreign(listener.port, offered)).toBe("a.example");
    expect(accepted[0]!.connection.tls!.cipher).toContain(order.startsWith(fast) ? "AES_128_GCM" : "AES_256_GCM");
  }
});

describe("replacement while it runs", () => {
  test("new connections get the new certificate; the old ones do not notice", async () => {
    const { listener, accepted } = listen(serverTls({ certificates: [a] }));
    const old = dial(listener.port, clientTls(authority.cert));
    await old.seen.seen("open");
    await until(() => accepted.length === 1);
    listener.secure(serverTls({ certificates: [b] }));
    expect(await foreign(listener.port, { servername: "a.example" })).toBe("b.example");
    say(old.connection, "still here");
    const there = accepted[0]!;
    await there.seen.until(() => there.seen.text === "still here");
    say(there.connection, "and back");
    await old.seen.until(() => old.seen.text === "and back");
    expect(old.seen.events).toEqual(["open", "data"]);
  });

  test("a connection that waits in the queue, and one within its handshake, are served", async () => {
    const { listener, accepted } = listen(serverTls({ certificates: [a] }));
    const raw = dial(listener.port);
    await raw.seen.seen("open");
    const waiting = Array.from({ length: 20 }, () => dial(listener.port, clientTls(authority.cert)));
    const renewed = await authority.issue(["a.example"], { subject: "CN=renewed" });
    listener.secure(serverTls({ certificates: [renewed] }));
    await Promise.all(waiting.map(({ seen }) => seen.seen("open")));
    await until(() => accepted.length === 20);
    expect(await foreign(listener.port, { servername: "a.example" })).toBe("renewed");
  });
});

const client = await authority.issueClient("client.example");
const stranger = await (await testAuthority("Stranger")).issueClient("client.example");

describe("client certificates", () => {
  const withClient = (own: MadeCertificate | null, maxVersion: "1.2" | "1.3" = "1.3"): ClientTls =>
    clientTls(authority.cert, {
      context: tlsContext({
        ...contextDefaults,
        ca: authority.cert,
        certificates: own === null ? [] : [own],
        maxVersion,
      }),
    });

  /** What becomes of a client: the subject that the other side saw, "none", or the reason of the refusal. */
  async function ask(
    mode: "optional" | "required",
    own: MadeCertificate | null,
    more: { crl?: string; max?: "1.2" } = {},
  ) {
    const tls = serverTls(
      {
        certificates: [a],
        ca: authority.cert,
        clientCertificates: mode,
        ...(more.crl === undefined ? {} : { crl: more.crl }),
      },
      { clientCertificates: mode },
    );
    const { listener, accepted } = listen(tls);
    dial(listener.port, withClient(own, more.max));
    await until(() => accepted.length + tls.failures.length > 0);
    expect(tls.open()).toBe(0);
    if (accepted.length === 0) return tls.failures[0]!.reason;
    return accepted[0]!.connection.tls!.peer?.subject ?? "none";
  }

  for (const max of ["1.2", undefined] as const) {
    const over = max === undefined ? {} : { max };
    test(`TLS ${max ?? "1.3"}: required`, async () => {
      expect(await ask("required", client, over)).toBe("CN=client.example");
      expect(await ask("required", null, over)).toBe("certificate");
      expect(await ask("required", stranger, over)).toBe("certificate");
    });

    test(`TLS ${max ?? "1.3"}: optional lets in who has none, and nobody whose certificate is not valid`, async () => {
      expect(await ask("optional", client, over)).toBe("CN=client.example");
      expect(await ask("optional", null, over)).toBe("none");
      expect(await ask("optional", stranger, over)).toBe("certificate");
    });
  }

  test("a revoked one is refused", async () => {
    const crl = await authority.revoke(client);
    expect(await ask("required", client, { crl })).toBe("certificate");
    expect(await ask("required", client, { crl: await authority.revoke(a) })).toBe("CN=client.example");
  });

  test("a resumed connection shows the certificate of the first", async () => {
    const tls = serverTls(
      { certificates: [a], ca: authority.cert, clientCertificates: "required" },
      { clientCertificates: "required" },
    );
    const { listener, accepted } = listen(tls);
    const own = withClient(client);
    dial(listener.port, own);
    await until(() => accepted.length === 1);
    say(accepted[0]!.connection, "hello");
    await until(() => own.session !== null);
    const second = dial(listener.port, own);
    await second.seen.seen("open");
    await until(() => accepted.length === 2);
    expect(accepted[1]!.connection.tls).toMatchObject({ resumed: true });
    expect(accepted[1]!.connection.tls!.peer?.subject).toBe("CN=client.example");
  });
});

describe("handshakes that fail", () => {
  test("a client that says nothing is told off when its time is over", async () => {
    const tls = serverTls({ certificates: [a] }, { handshakeTimeout: 30 });
    const { listener, accepted } = listen(tls);
    const silent = dial(listener.port);
    await silent.seen.seen("close");
    expect(tls.failures).toMatchObject([{ reason: "timeout", remoteAddress: "127.0.0.1" }]);
    expect([tls.open(), accepted.length]).toEqual([0, 0]);
  });

  test("one that drips its hello byte by byte is, too", async () => {
    const tls = serverTls({ certificates: [a] }, { handshakeTimeout: 60 });
    const { listener } = listen(tls);
    const slow = dial(listener.port);
    await slow.seen.seen("open");
    const hello = bytes("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    for (let i = 0; slow.seen.reason === undefined; i++) {
      if (i < hello.length) slow.connection.write(hello, i, i + 1);
      await passed(10);
    }
    expect(tls.failures).toMatchObject([{ reason: "timeout" }]);
  });

  test("one that goes away in the middle is counted once", async () => {
    for (const how of ["reset", "close"] as const) {
      const tls = serverTls({ certificates: [a] });
      const { listener } = listen(tls);
      const gone = dial(listener.port);
      await gone.seen.seen("open");
      say(gone.connection, "\x16\x03\x01");
      await until(() => tls.open() === 1);
      gone.connection[how]();
      await until(() => tls.failures.length > 0);
      await passed(5);
      expect(tls.failures.map(({ reason }) => reason)).toEqual(["gone"]);
      expect(tls.open()).toBe(0);
    }
  });

  test("one more than may be is closed before anything costs", async () => {
    const tls = serverTls({ certificates: [a] }, { begins: () => false });
    const { listener, accepted } = listen(tls);
    const refused = dial(listener.port, clientTls(authority.cert));
    await refused.seen.seen("close");
    expect([tls.failures, accepted]).toEqual([[], []]);
  });

  test("HTTP without TLS gets the plain answer, and its connection ends in order", async () => {
    const tls = serverTls({ certificates: [a] }, { plainAnswer: bytes("HTTP/1.1 400 Bad Request\r\n\r\nspeak TLS") });
    const { listener } = listen(tls);
    const plain = dial(listener.port);
    await plain.seen.seen("open");
    say(plain.connection, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    await plain.seen.seen("end");
    expect(plain.seen.text).toBe("HTTP/1.1 400 Bad Request\r\n\r\nspeak TLS");
    expect(tls.failures).toMatchObject([{ reason: "plain-http" }]);
  });

  test("no version in common, and a client that does not like our certificate", async () => {
    const tls = serverTls({ certificates: [a], minVersion: "1.3" });
    const { listener } = listen(tls);
    expect(await foreign(listener.port, { maxVersion: "TLSv1.2", servername: "a.example" })).toContain("PROTOCOL");
    const distrusting = { rejectUnauthorized: true, ca: (await testAuthority("Other")).cert, servername: "a.example" };
    expect(await foreign(listener.port, distrusting)).not.toBe("a.example");
    await until(() => tls.failures.length > 0);
    expect(tls.failures[0]).toMatchObject({ reason: "protocol", detail: "UNSUPPORTED_PROTOCOL" });
  });
});

describe("connecting", () => {
  async function outcome(server: MadeCertificate | null, tls: ClientTls): Promise<string> {
    const { listener } = listen(serverTls({ certificates: server === null ? [] : [server] }));
    const { seen } = dial(listener.port, tls);
    await seen.until(() => seen.events.length > 0);
    return seen.events.includes("open") ? "open" : `${seen.reason}: ${seen.cause}`;
  }

  test("the certificate must be valid, now, for the name that was asked for", async () => {
    const expired = await authority.issue(["a.example"], { notBefore: 0, notAfter: Date.now() - 86_400_000 });
    expect(await outcome(a, clientTls(authority.cert))).toBe("open");
    expect(await outcome(a, clientTls((await testAuthority("Other")).cert))).toStartWith("untrusted: ");
    expect(await outcome(a, clientTls(""))).toStartWith("untrusted: ");
    expect(await outcome(expired, clientTls(authority.cert))).toBe(
      "expired: CERT_HAS_EXPIRED: certificate has expired",
    );
    expect(await outcome(b, clientTls(authority.cert))).toContain("misnamed: ");
    expect(await outcome(b, clientTls(authority.cert, { serverName: "a.example", verifyName: "b.example" }))).toBe(
      "open",
    );
  });

  test("for an address no name is sent, and the certificate must hold the address", async () => {
    const by = (verifyName: string) => clientTls(authority.cert, { serverName: "", verifyName });
    expect(await outcome(a, by("127.0.0.1"))).toBe("open");
    expect(await outcome(b, by("127.0.0.1"))).toContain("misnamed: ");
  });

  test("unless nobody looks", async () => {
    expect(await outcome(b, clientTls("", { verify: false }))).toBe("open");
  });

  test("an untrusted one is worse than a misnamed one, whatever else is wrong", async () => {
    expect(await outcome(b, clientTls((await testAuthority("Other")).cert))).toStartWith("untrusted: ");
  });

  test("no TLS there, nothing in common, closed in the middle: handshake; nobody there: refused", async () => {
    const plain = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (connection) => {
      const seen = new Recorder();
      seen.onBytes = () => say(connection, "HTTP/1.1 400 Bad Request\r\n\r\n");
      return seen;
    });
    const { seen } = dial(plain.port, clientTls(authority.cert));
    await seen.seen("close");
    expect([seen.reason, seen.cause]).toEqual(["handshake", "WRONG_VERSION_NUMBER"]);
    expect(await outcome(null, clientTls(authority.cert))).toStartWith("handshake: ");
    const closing = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (connection) => {
      const there = new Recorder();
      there.onBytes = () => connection.close();
      return there;
    });
    cleanups.push(() => closing.close());
    const broken = dial(closing.port, clientTls(authority.cert));
    await broken.seen.seen("close");
    expect(broken.seen.reason).toBe("handshake");
    plain.close();
    const nobody = dial(plain.port, clientTls(authority.cert));
    await nobody.seen.seen("close");
    expect([nobody.seen.reason, nobody.seen.cause]).toEqual(["refused", "ECONNREFUSED"]);
  });
});

describe("TLS behind something else", () => {
  for (const split of [false, true]) {
    test(`a header is read in plain text, then the handshake begins${split ? ", its first bytes with the header" : ""}`, async () => {
      const header = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
      const tls = serverTls({ certificates: [a] });
      const far = new Recorder();
      let headed = "";
      const secured: Accept = (connection) => {
        expect(connection.remoteAddress).toBe("127.0.0.1");
        expect(connection.tls?.serverName).toBe("a.example");
        far.onBytes = () => say(connection, "welcome");
        return far;
      };
      const listener = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (connection) => ({
        ...new Recorder(),
        onOpen() {},
        onDrain() {},
        onEnd() {},
        onClose() {},
        onData(chunk) {
          headed += Buffer.from(chunk.subarray(0, header.length)).toString("latin1");
          connection.startTls(tls, chunk.subarray(header.length), secured);
        },
      }));
      cleanups.push(() => listener.close());
      // A relay writes the header, alone or together with the client's hello.
      const front = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (client) => {
        const back = new Recorder();
        const seen = new Recorder();
        const upstream = transport.connect({ kind: "tcp", host: "127.0.0.1", port: listener.port }, back);
        cleanups.push(() => upstream.reset());
        client.pause();
        let first = true;
        void back.seen("open").then(async () => {
          if (!split) {
            say(upstream, header);
            while (headed === "") await passed(1);
          }
          client.resume();
        });
        back.onBytes = (chunk) => void client.write(chunk, 0, chunk.length);
        seen.onBytes = (chunk) => {
          const bytes = first && split ? Buffer.concat([Buffer.from(header), chunk]) : chunk;
          first = false;
          upstream.write(bytes, 0, bytes.length);
        };
        return seen;
      });
      cleanups.push(() => front.close());
      const { connection, seen } = dial(front.port, clientTls(authority.cert));
      await seen.seen("open");
      say(connection, "hello");
      await seen.until(() => seen.text === "welcome");
      expect([headed, far.text]).toEqual([header, "hello"]);
      expect(tls.failures).toEqual([]);
    });
  }
});

test("who answers a client that has ended says in TLS that the answer is whole", async () => {
  const tls = serverTls({ certificates: [a] });
  const { listener, accepted } = listen(tls);
  // What the server sends, as it is on the wire.
  let sent: Buffer = Buffer.alloc(0);
  const relay = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (client) => {
    const [seen, back] = [new Recorder(), new Recorder()];
    const upstream = transport.connect({ kind: "tcp", host: "127.0.0.1", port: listener.port }, back);
    back.onBytes = (chunk) => {
      sent = Buffer.concat([sent, chunk]);
      client.write(chunk, 0, chunk.length);
    };
    seen.onBytes = (chunk) => void upstream.write(chunk, 0, chunk.length);
    void seen.seen("end").then(() => upstream.shutdown());
    void back.seen("end").then(() => client.close());
    return seen;
  });
  cleanups.push(() => relay.close());
  const { connection, seen } = dial(relay.port, clientTls(authority.cert));
  await seen.seen("open");
  await until(() => accepted.length === 1);
  connection.shutdown();
  await seen.seen("close");
  const records: number[] = [];
  for (let at = 0; at < sent.length; at += 5 + sent.readUInt16BE(at + 3)) records.push(sent.readUInt16BE(at + 3));
  // An alert in TLS 1.3: two bytes, its type and a tag of 16.
  expect(records.at(-1)).toBe(19);
});

test("an end without close_notify cannot be told from one with it (docs/tls.md says what that means)", async () => {
  const { listener, accepted } = listen(serverTls({ certificates: [a] }));
  const { promise: relayed, resolve } = Promise.withResolvers<Connection>();
  const relay = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (client) => {
    const [seen, back] = [new Recorder(), new Recorder()];
    const onward = transport.connect({ kind: "tcp", host: "127.0.0.1", port: listener.port }, back);
    back.onBytes = (chunk) => void client.write(chunk, 0, chunk.length);
    seen.onBytes = (chunk) => void onward.write(chunk, 0, chunk.length);
    cleanups.push(() => (client.reset(), onward.reset()));
    resolve(client);
    return seen;
  });
  cleanups.push(() => relay.close());
  const { seen } = dial(relay.port, clientTls(authority.cert));
  await seen.seen("open");
  await until(() => accepted.length === 1);
  say(accepted[0]!.connection, "half");
  await seen.seen("data");
  (await relayed).shutdown();
  await seen.seen("end");
  expect(seen.events).toEqual(["open", "data", "end"]);
});

/** What a client says first when it asks for a name. */
async function firstWords(name: string): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const heard = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (connection) => {
    cleanups.push(() => connection.reset());
    return Object.assign(new Recorder(), { onBytes: (chunk: Uint8Array) => resolve(chunk.slice()) });
  });
  cleanups.push(() => heard.close());
  dial(heard.port, clientTls(authority.cert, { serverName: name }));
  return promise;
}

test("of clients that come together, those who came first are served first, and who left meanwhile is counted once", async () => {
  const names = Array.from({ length: 20 }, (_, at) => `n${at}.example`);
  const gone = "n11.example";
  const chosen: string[] = [];
  const tls = serverTls({ certificates: [a] });
  const { fd, port } = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 });
  for (const name of names) {
    const { connection, seen } = dial(port);
    await seen.seen("open");
    const hello = await firstWords(name);
    connection.write(hello, 0, hello.length);
    if (name === gone) connection.reset();
  }
  const choose = (name: string) => (chosen.push(name), tls.context);
  const address = { kind: "tcp", host: "127.0.0.1", port } as const;
  const listener = transport.listen({ address, fd, tls: { ...tls, choose } }, () => new Recorder());
  cleanups.push(() => listener.close());
  const others = names.filter((name) => name !== gone);
  // A reset wakes a held connection, too, with what it had said before.
  const served = () => chosen.filter((name) => name !== gone);
  await until(() => served().length === others.length && tls.failures.length === 1);
  expect(served()).toEqual(others);
  expect(tls.failures[0]?.reason).toBe("gone");
});

describe("contexts", () => {
  test("equal ones are made once", () => {
    const options = { ...contextDefaults, certificates: [a] };
    expect(tlsContext(options)).toBe(tlsContext({ ...options }));
    expect(tlsContext(options)).not.toBe(tlsContext({ ...options, minVersion: "1.3" }));
  });

  test("what cannot be one says why", () => {
    expect(() => tlsContext({ ...contextDefaults, certificates: [{ cert: "nonsense", key: a.key }] })).toThrow();
    expect(() => tlsContext({ ...contextDefaults, certificates: [{ cert: a.cert, key: b.key }] })).toThrow();
    expect(() => tlsContext({ ...contextDefaults, groups: "NOT-A-GROUP" })).toThrow();
  });
});

test("waiting for handshakes: in their order, each once, none that is over", () => {
  const late: string[] = [];
  let now = 0;
  const due: { at: number; fn: () => void }[] = [];
  const timers = {
    every: () => () => {},
    after: (ms: number, fn: () => void) => (due.push({ at: now + ms, fn }), () => {}),
  };
  const waiting = new Handshakes<string>((item) => late.push(item), timers, { now: () => now, wall: () => now });
  const pass = (ms: number) => {
    now += ms;
    for (const one of due.splice(0))
      if (one.at <= now) one.fn();
      else due.push(one);
  };
  waiting.add("one", 100);
  pass(40);
  waiting.add("two", 100);
  waiting.add("three", 100);
  expect(waiting.delete("two")).toBe(true);
  pass(60);
  expect([late, waiting.size]).toEqual([["one"], 1]);
  pass(40);
  expect([late, waiting.size]).toEqual([["one", "three"], 0]);
  expect(waiting.delete("three")).toBe(false);
  expect(due).toEqual([]);
});

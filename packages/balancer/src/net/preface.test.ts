// What goes first on connections of ours: before a handshake, and before everything else. That such a connection is one like any
// other is tested in bun-transport*.test.ts, kind "prefaced".
import { afterEach, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testAuthority } from "@plimsoll/testbed/authority";
import { createBunTransport } from "./bun-transport.ts";
import { bytes, cleanUp, cleanups, descriptors, passed, Recorder, say } from "./fixtures/connections.ts";
import { clientTls, serverTls } from "./fixtures/encrypted.ts";
import type { ClientTls } from "./tls.ts";
import type { Address, Connection } from "./transport.ts";

afterEach(cleanUp);

const transport = createBunTransport();
const authority = await testAuthority();
const certificate = await authority.issue(["a.example"]);
const loopback = { kind: "tcp", host: "127.0.0.1" } as const;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await passed(1);
}

function dial(address: Address, preface: Uint8Array, tls?: ClientTls) {
  const seen = new Recorder();
  const connection = transport.connect(address, seen, tls, preface);
  cleanups.push(() => connection.reset());
  return { connection, seen };
}

/** Reads as many bytes in plain text as `preface` has, then shakes hands; what was read, and the encrypted connections. */
function listen(preface: Uint8Array) {
  const tls = serverTls({ certificates: [certificate] });
  const before: Buffer[] = [];
  const accepted: { readonly connection: Connection; readonly seen: Recorder }[] = [];
  const listener = transport.listen({ address: { ...loopback, port: 0 } }, (plain) => {
    let held = Buffer.alloc(0);
    const seen = new Recorder();
    seen.onBytes = (more) => {
      held = Buffer.concat([held, more]);
      if (held.length < preface.length) return;
      before.push(held.subarray(0, preface.length));
      plain.startTls(tls, held.subarray(preface.length), (connection) => {
        const encrypted = new Recorder();
        accepted.push({ connection, seen: encrypted });
        cleanups.push(() => connection.reset());
        return encrypted;
      });
    };
    return seen;
  });
  cleanups.push(() => listener.close());
  return { address: { ...loopback, port: listener.port }, before, accepted };
}

/** Somebody who does with each connection what `then` says, as soon as it is there. */
async function stranger(then: (socket: Socket) => void): Promise<Address> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    then(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { ...loopback, port: (server.address() as { port: number }).port };
}

const header = bytes("PROXY UNKNOWN\r\n");

test("it arrives whole and once, however long it is, and the handshake is behind it", async () => {
  // The longest is more than a socket takes at once: what is left waits for room.
  for (const length of [1, 107, 4_096, 8_000_000]) {
    const preface = new Uint8Array(length).map((_, index) => index % 251);
    const { address, before, accepted } = listen(preface);
    const { connection, seen } = dial(address, preface, clientTls(authority.cert));
    await seen.seen("open");
    await until(() => accepted.length === 1);
    expect(before[0]!.equals(preface)).toBe(true);
    expect(connection.tls).toMatchObject({ version: "TLSv1.3", resumed: false });
    say(connection, "hello");
    say(accepted[0]!.connection, "welcome");
    await seen.until(() => seen.text === "welcome");
    await accepted[0]!.seen.until(() => accepted[0]!.seen.text === "hello");
  }
});

test("it goes before everything else in plain text, too, also over a Unix socket", async () => {
  const path = join(tmpdir(), `plimsoll-preface-${process.pid}.sock`);
  for (const at of [{ ...loopback, port: 0 }, { kind: "unix", path } as const]) {
    const far = new Recorder();
    const listener = transport.listen({ address: at }, () => far);
    cleanups.push(() => listener.close());
    const { connection, seen } = dial(at.kind === "unix" ? at : { ...loopback, port: listener.port }, header);
    await seen.seen("open");
    say(connection, "and then this");
    await far.until(() => far.text === "PROXY UNKNOWN\r\nand then this");
  }
});

test("in plain text one longer than a socket takes goes whole before the connection is open", async () => {
  const far = new Recorder();
  const listener = transport.listen({ address: { ...loopback, port: 0 } }, () => far);
  cleanups.push(() => listener.close());
  const { connection, seen } = dial({ ...loopback, port: listener.port }, new Uint8Array(8_000_000));
  expect(say(connection, "not before it")).toBe(0);
  await seen.seen("drain");
  expect(seen.events).toEqual(["open", "drain"]);
  say(connection, "x");
  await far.until(() => far.bytes === 8_000_001);
});

test("sessions are resumed", async () => {
  const { address, accepted } = listen(header);
  const tls = clientTls(authority.cert);
  const first = dial(address, header, tls);
  await first.seen.seen("open");
  await until(() => accepted.length === 1);
  // Sessions are offered with the first bytes that are sent (BoringSSL saves a packet).
  say(accepted[0]!.connection, "hello");
  await until(() => tls.session !== null);
  const second = dial(address, header, tls);
  await second.seen.seen("open");
  expect(second.connection.tls!.resumed).toBe(true);
});

test("the certificate is judged as it is without one", async () => {
  const { address } = listen(header);
  const other = await testAuthority();
  for (const [tls, reason] of [
    [clientTls(other.cert), "untrusted"],
    [clientTls(authority.cert, { serverName: "b.example" }), "misnamed"],
  ] as const) {
    const { seen } = dial(address, header, tls);
    await seen.seen("close");
    expect(seen.events).toEqual(["close"]);
    expect(seen.reason).toBe(reason);
    expect(tls.session).toBeNull();
  }
});

test("a peer that answers in plain text, ends or resets has broken the handshake off; nobody there is refused", async () => {
  const before = descriptors();
  const peers = [
    await stranger((socket) => void socket.write("220 mail.example ESMTP\r\n")),
    await stranger((socket) => void socket.end()),
    await stranger((socket) => void socket.resetAndDestroy()),
    await stranger((socket) => socket.once("data", () => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"))),
    await stranger((socket) => socket.once("data", () => socket.resetAndDestroy())),
  ];
  for (const [index, address] of peers.entries()) {
    const { seen } = dial(address, header, clientTls(authority.cert));
    await seen.seen("close");
    expect([index, seen.events, seen.reason]).toEqual([index, ["close"], "handshake"]);
  }
  const nobody = dial({ ...loopback, port: 1 }, header, clientTls(authority.cert));
  await nobody.seen.seen("close");
  expect(nobody.seen.reason).toBe("refused");
  await cleanUp();
  await until(() => descriptors() <= before);
});

test("one that is given up, before it is connected and in its handshake, is gone at once and once", async () => {
  const { address } = listen(header);
  const early = dial(address, header, clientTls(authority.cert));
  early.connection.close();
  await early.seen.seen("close");
  const deaf = await stranger(() => {});
  const late = dial(deaf, header, clientTls(authority.cert));
  await passed(5);
  late.connection.close();
  await late.seen.seen("close");
  await passed(5);
  expect([early.seen.events, late.seen.events]).toEqual([["close"], ["close"]]);
});

// A WebSocket through the engine is what it is without it: every frame of websocket-range.ts, right or wrong, is sent over a
// direct connection and through the engine, from clients with TLS and without, whole and in pieces, and what each side saw is
// compared byte by byte.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket as NetSocket } from "node:net";
import { fileURLToPath } from "node:url";
import { connectRaw, type RawClient } from "@plimsoll/testbed/raw-client";
import { ok } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import type * as Ws from "ws";
import type { WebSocket as Socket, WebSocketServer as SocketServer } from "ws";
import { tlsPlan } from "../../../packages/balancer/src/proxy/fixtures/plans.ts";
import { type EngineUnderTest, startEngine } from "./engine-under-test.ts";
import { binary, closing, compressed, encode, filler, range, type RangeCase, text } from "./websocket-range.ts";

// Bun puts something of its own in the place of the package's name; its file is what Node applications run.
const { WebSocket, WebSocketServer } = (await import(
  fileURLToPath(new URL("wrapper.mjs", import.meta.resolve("ws/package.json")))
)) as typeof Ws;

/** What one end of a connection saw. */
interface Seen {
  /** The other's bytes after the handshake. */
  readonly bytes: Buffer[];
  /** What a WebSocket library made of them. */
  readonly events: string[];
  ending: "open" | "fin" | "rst";
  /** Its own connection is closed, both ways. */
  over: boolean;
}

/** How a client reaches the endpoint. */
interface Way {
  readonly port: number;
  readonly tls: boolean;
}

/** What is compared: both ends, and what the client was answered. */
type Observation = Readonly<Record<"answer" | "endpoint" | "client", unknown>>;

setDefaultTimeout(120_000);

let http: Server;
let sockets: SocketServer;
let under: EngineUnderTest<"unused">;
let secure: EngineUnderTest<"unused">;
/** The endpoint's view of each connection, by the path that the client asked for. */
const views = new Map<string, Seen>();
/** What the raw endpoint does after its 101, by path. */
const manners = new Map<string, (socket: NetSocket, seen: Seen) => void>();
let count = 0;

beforeAll(async () => {
  http = createServer((_, answer) => void answer.end("not upgraded\n"));
  sockets = new WebSocketServer({
    noServer: true,
    maxPayload: 16 * 1024 * 1024,
    perMessageDeflate: { threshold: 64 },
    handleProtocols: (offered: Set<string>) => [...offered].at(-1) ?? false,
  });
  http.on("upgrade", (request: IncomingMessage, socket: NetSocket, head: Buffer) => {
    const path = request.url ?? "";
    const seen: Seen = { bytes: [], events: [], ending: "open", over: false };
    views.set(path, seen);
    const manner = manners.get(path);
    if (manner !== undefined) {
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          `Sec-WebSocket-Accept: ${acceptFor(request.headers["sec-websocket-key"] ?? "")}\r\n\r\n`,
      );
      if (head.length > 0) seen.bytes.push(head);
      watch(socket, seen);
      manner(socket, seen);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (one) => {
      watch(socket, seen);
      listen(one, seen);
      one.on("message", (data: Buffer, isBinary: boolean) => one.send(data, { binary: isBinary }));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const pools = { app: { endpoints: [directPort()] } };
  under = await startEngine({ unused: ok() }, () => ({ pools }));
  secure = await startEngine({ unused: ok() }, () => ({ pools, listener: { tls } }));
});

afterAll(async () => {
  for (const one of sockets.clients) one.terminate();
  sockets.close();
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
  // The first counts sockets that the second holds.
  await secure.close();
  await under.close();
});

const directPort = (): number => (http.address() as AddressInfo).port;
const direct = (): Way => ({ port: directPort(), tls: false });
/** Through the engine. */
const tunnelled = (): readonly Way[] => [
  { port: under.port, tls: false },
  { port: secure.port, tls: true },
];

const pem = (name: string): string =>
  readFileSync(new URL(`../runtime/certificates/${name}`, import.meta.url), "latin1");
const tls = tlsPlan([
  {
    certFile: "a-ec.crt",
    keyFile: "a-ec.key",
    cert: pem("a-ec.crt"),
    key: pem("a-ec.key"),
    names: ["a.example"],
    kind: "ecdsa",
  },
]);

function acceptFor(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** Copies what a socket receives before anybody else is given it (`ws` takes masks off in place), and how it ends. */
function watch(socket: NetSocket, seen: Seen): void {
  socket.prependListener("data", (bytes: Buffer) => seen.bytes.push(Buffer.from(bytes)));
  socket.resume();
  socket.on("end", () => (seen.ending = seen.ending === "open" ? "fin" : seen.ending));
  socket.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "ECONNRESET") seen.ending = "rst";
  });
  socket.on("close", () => (seen.over = true));
}

function listen(one: Socket, { events }: Seen): void {
  one.on("message", (data: Buffer, isBinary: boolean) =>
    events.push(`${isBinary ? "binary" : "text"} ${digest(data)}`),
  );
  one.on("ping", (data: Buffer) => events.push(`ping ${digest(data)}`));
  one.on("pong", (data: Buffer) => events.push(`pong ${digest(data)}`));
  one.on("error", (error: NodeJS.ErrnoException) => events.push(`error ${error.code}`));
  one.on("close", (code: number, reason: Buffer) => events.push(`close ${code} ${digest(reason)}`));
}

/** Bytes in a form that is short and says where two differ as long as that is short, too. */
function digest(bytes: Uint8Array): string {
  if (bytes.length <= 400) return Buffer.from(bytes).toString("hex");
  return `${bytes.length} bytes, sha1 ${createHash("sha1").update(bytes).digest("hex")}`;
}

const shown = ({ bytes, events, ending }: Seen): unknown => ({ bytes: digest(Buffer.concat(bytes)), events, ending });

/** The parts of a 101 that are the endpoint's alone. */
function answerOf(head: string): string {
  const lines = head.split("\r\n").filter((line) => /^(HTTP\/|sec-websocket-)/i.test(line));
  return lines.map((line) => line.toLowerCase()).join(" | ");
}

interface Handshake {
  readonly extensions?: string;
  readonly protocols?: string;
}

/** A raw client after its handshake, the endpoint's view of it, and what it was answered. */
async function shake(
  way: Way,
  path: string,
  { extensions, protocols }: Handshake = {},
): Promise<{ readonly client: RawClient; readonly view: Seen; readonly answer: string; readonly skip: number }> {
  const client = await connectRaw(way.port, { timeout: 20_000, tls: way.tls });
  await client.send(
    `GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      (extensions === undefined ? "" : `Sec-WebSocket-Extensions: ${extensions}\r\n`) +
      (protocols === undefined ? "" : `Sec-WebSocket-Protocol: ${protocols}\r\n`) +
      "\r\n",
  );
  const head = await client.readUntil("\r\n\r\n");
  const view = await eventually("the endpoint has it", () => views.get(path), 10_000, 1);
  return { client, view, answer: answerOf(Buffer.from(head).toString("latin1")), skip: head.length };
}

/** What a raw client sees from its handshake on. */
const received = (client: RawClient, skip: number): string => digest(client.received.subarray(skip));

const freshPath = (): string => `/${++count}`;

/** Cuts at every `piece` bytes, but at no more than `most` places. */
function cutsOf(length: number, piece: number, most = 1000): readonly number[] {
  const step = Math.max(piece, Math.ceil(length / most));
  return Array.from({ length: Math.max(0, Math.ceil(length / step) - 1) }, (_, at) => (at + 1) * step);
}

function bytesOf({ frames, goodbye }: RangeCase, masked: boolean): Buffer {
  return encode(goodbye ? [...frames, { opcode: 8, payload: closing(1000, "done") }] : frames, masked);
}

/** A raw client sends the case to the `ws` server, which echoes. */
async function fromClient(one: RangeCase, way: Way, whole: boolean, handshake?: Handshake): Promise<Observation> {
  const sent = bytesOf(one, true);
  const { client, view, answer, skip } = await shake(way, freshPath(), handshake);
  try {
    await client.send(sent, whole ? {} : { cuts: cutsOf(sent.length, one.piece), gap: 0 });
    const ending = await client.readEnd();
    client.shutdown();
    await eventually("the endpoint's connection is over", () => view.over, 20_000, 1);
    // Nothing may be lost, and nothing added, whatever the receiver thought of it.
    expect(digest(Buffer.concat(view.bytes))).toBe(digest(sent));
    return { answer, endpoint: shown(view), client: { bytes: received(client, skip), ending } };
  } finally {
    client.close();
  }
}

/** A raw endpoint sends the case to the `ws` client. */
async function fromEndpoint(one: RangeCase, way: Way, whole: boolean): Promise<Observation> {
  const sent = bytesOf(one, false);
  const path = freshPath();
  manners.set(path, (socket) => void sendInPieces(socket, sent, whole ? [] : cutsOf(sent.length, one.piece)));
  const client = new WebSocket(`${way.tls ? "wss" : "ws"}://127.0.0.1:${way.port}${path}`, {
    rejectUnauthorized: false,
    perMessageDeflate: false,
    maxPayload: 16 * 1024 * 1024,
    // Always the same mask, so that two runs send the same bytes.
    generateMask: (mask: Buffer) => void mask.fill(0x5a),
  } as Ws.ClientOptions);
  const seen: Seen = { bytes: [], events: [], ending: "open", over: false };
  listen(client, seen);
  client.on("open", () => watch((client as unknown as { readonly _socket: NetSocket })._socket, seen));
  await eventually("the client's connection is over", () => client.readyState === WebSocket.CLOSED, 20_000, 1);
  const view = await eventually("the endpoint has it", () => views.get(path), 10_000, 1);
  await eventually("the endpoint's connection is over", () => view.over, 20_000, 1);
  expect(digest(Buffer.concat(seen.bytes))).toBe(digest(sent));
  return { answer: "", endpoint: shown(view), client: shown(seen) };
}

/** Writes bytes in pieces, each a segment of its own, then FIN. */
async function sendInPieces(socket: NetSocket, bytes: Buffer, cuts: readonly number[]): Promise<void> {
  socket.setNoDelay(true);
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    await new Promise<void>((resolve) => socket.write(bytes.subarray(from, to), () => resolve()));
    from = to;
  }
  socket.end();
}

/** Runs every case once directly, twice through each engine, and compares. Some at once, because most of the time is spent waiting for the other end. */
async function compare(
  cases: readonly RangeCase[],
  run: (one: RangeCase, way: Way, whole: boolean) => Promise<Observation>,
  judge: (one: RangeCase, seen: Observation) => void,
): Promise<void> {
  const left = [...cases];
  const work = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      const wanted = { name: one.name, ...(await run(one, direct(), true)) };
      judge(one, wanted);
      for (const way of tunnelled()) {
        expect({ name: one.name, ...(await run(one, way, true)) }).toEqual(wanted);
        expect({ name: one.name, ...(await run(one, way, false)) }).toEqual(wanted);
      }
    }
  };
  await Promise.all(Array.from({ length: 6 }, work));
}

/** The close frame at the end of what a client was sent, in hex; a server's frames are not masked, and `ws` says the reason again. */
function closeAtEnd(code: number | null): RegExp {
  return code === null ? /8800$/ : new RegExp(`88..${closing(code).toString("hex")}[0-9a-f]{0,246}$`);
}

/** The table says with which code a receiver ends: a case that tests nothing would be seen here. */
function judgeEcho(one: RangeCase, { client }: Observation): void {
  const { bytes, ending } = client as { readonly bytes: string; readonly ending: string };
  expect([one.name, ending]).toEqual([one.name, "fin"]);
  if (!bytes.includes("sha1")) expect(`${one.name}: ${bytes}`).toMatch(closeAtEnd(one.closedWith));
}

describe("the whole range of frames", () => {
  test("there are many, and each has a name of its own", () => {
    expect(range.length).toBeGreaterThan(185);
    const names = [...range, ...compressed].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test("from a client to the ws server: what arrives, what is made of it and what is answered are the same", async () => {
    await compare(range, fromClient, judgeEcho);
  });

  test("from an endpoint to the ws client: the same", async () => {
    await compare(range, fromEndpoint, (one, { client }) => {
      const { events } = client as { readonly events: readonly string[] };
      const wanted = one.closedWith ?? 1005;
      // What is wrong is told as an error, and the connection counts as cut (1006): its peer was told the code.
      const failed = events.some((event) => event.startsWith("error "));
      const told = [1002, 1007].includes(wanted) && failed ? 1006 : wanted;
      expect(`${one.name}: ${events.at(-1)}`).toStartWith(`${one.name}: close ${told}`);
    });
  });

  test("with permessage-deflate: the agreement and what it makes of frames are the same", async () => {
    for (const extensions of [
      "permessage-deflate",
      "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
      "permessage-deflate; server_max_window_bits=9; client_max_window_bits",
      "x-unknown, permessage-deflate; server_no_context_takeover; client_max_window_bits=12",
    ]) {
      await compare(
        compressed,
        (one, way, whole) => fromClient(one, way, whole, { extensions, protocols: "chat, superchat" }),
        (one, seen) => {
          judgeEcho(one, seen);
          expect(seen.answer).toContain("sec-websocket-extensions: permessage-deflate");
          expect(seen.answer).toContain("sec-websocket-protocol: superchat");
        },
      );
    }
  });
});

/** Both ends in the hands of a test. */
interface Ends {
  readonly client: RawClient;
  readonly socket: NetSocket;
  readonly view: Seen;
}

/** Frames before the end, so that it comes where frames are under way. */
const unmasked = encode([{ opcode: text, payload: "before the end" }], false);
const masked = encode([{ opcode: text, payload: "before the end" }], true);
const arrived = (view: Seen, length: number): Promise<boolean> =>
  eventually(`${length} bytes at the endpoint`, () => Buffer.concat(view.bytes).length >= length, 10_000, 1);

/** Ways in which a connection ends without the handshake for it. */
const endings: Readonly<Record<string, (ends: Ends) => Promise<void>>> = {
  async "the client's half closes between frames, the endpoint goes on"({ client, socket, view }) {
    await client.send(masked);
    client.shutdown();
    await eventually("the endpoint sees it", () => view.ending === "fin", 10_000, 1);
    socket.write(unmasked);
    socket.end(encode([{ opcode: binary, payload: filler(70_000) }], false));
    await client.readEnd();
  },
  async "the endpoint's half closes between frames, the client goes on"({ client, socket, view }) {
    socket.end(unmasked);
    await client.readEnd();
    const last = encode([{ opcode: binary, payload: filler(70_000) }], true);
    await client.send(last);
    client.shutdown();
    await arrived(view, last.length);
  },
  async "the client ends inside a frame's head"({ client, socket, view }) {
    await client.send(masked.subarray(0, 3));
    client.shutdown();
    await eventually("the endpoint sees it", () => view.ending === "fin", 10_000, 1);
    socket.end();
    await client.readEnd();
  },
  async "the endpoint ends inside a payload"({ client, socket }) {
    socket.end(unmasked.subarray(0, 7));
    await client.readEnd();
    client.shutdown();
  },
  async "the endpoint ends inside a fragmented message"({ client, socket }) {
    socket.end(encode([{ opcode: text, payload: "one", fin: false }, { opcode: 9 }], false));
    await client.readEnd();
    client.shutdown();
  },
  async "the client is gone inside a frame"({ client, view }) {
    await client.send(masked.subarray(0, 9));
    await arrived(view, 9);
    client.reset();
  },
  async "the endpoint is gone inside a frame"({ client, socket }) {
    await new Promise<void>((resolve) => socket.write(unmasked.subarray(0, 9), () => resolve()));
    await client.readBytes(9);
    socket.resetAndDestroy();
    await client.readEnd();
  },
  async "the endpoint closes by the book and is then gone"({ client, socket, view }) {
    socket.write(encode([{ opcode: 8, payload: closing(1011, "trouble") }], false));
    await client.readBytes(11);
    await client.send(encode([{ opcode: 8, payload: closing(1011) }], true));
    await arrived(view, 8);
    socket.resetAndDestroy();
    await client.readEnd();
  },
  async "both close at once, with codes of their own"({ client, socket, view }) {
    socket.write(encode([{ opcode: 8, payload: closing(4001, "mine") }], false));
    await client.send(encode([{ opcode: 8, payload: closing(4002, "yours") }], true));
    await client.readBytes(8);
    await arrived(view, 13);
    socket.end();
    client.shutdown();
    await client.readEnd();
  },
  async "bytes that are no frames at all"({ client, socket, view }) {
    const noise = Buffer.from(Uint8Array.from({ length: 5000 }, (_, at) => (at * 7919) % 251));
    socket.write(noise);
    await client.send(noise, { cuts: cutsOf(noise.length, 13), gap: 0 });
    await client.readBytes(noise.length);
    await arrived(view, noise.length);
    client.shutdown();
    await eventually("the endpoint sees it", () => view.ending === "fin", 10_000, 1);
    socket.end();
    await client.readEnd();
  },
  async "a length of 2^63 - 1 that is never fulfilled"({ client, socket, view }) {
    await client.send(Buffer.concat([Buffer.from("82ff7fffffffffffffff00000000", "hex"), filler(3000)]));
    await arrived(view, 3014);
    socket.end(unmasked);
    await client.readEnd();
    client.shutdown();
  },
};

describe("endings", () => {
  for (const [name, run] of Object.entries(endings)) {
    test(`${name}: both sides see what they would see without us`, async () => {
      const seen: Observation[] = [];
      for (const way of [direct(), ...tunnelled()]) {
        const path = freshPath();
        let socket: NetSocket | undefined;
        manners.set(path, (one) => (socket = one));
        const { client, view, answer, skip } = await shake(way, path);
        try {
          await run({ client, socket: socket as NetSocket, view });
          await eventually("the endpoint's connection is over", () => view.over, 10_000, 1);
          seen.push({
            answer,
            endpoint: shown(view),
            client: { bytes: received(client, skip), ending: client.ending },
          });
        } finally {
          client.close();
          socket?.destroy();
        }
      }
      expect(seen[1]).toEqual(seen[0] as Observation);
      expect(seen[2]).toEqual(seen[0] as Observation);
    });
  }
});

// WebSocket through the engine, with a client and a server that others wrote (the `ws` package): what a browser and a Node
// application would say to each other.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { eventually } from "@plimsoll/testbed/waiting";
import { ok } from "@plimsoll/testbed/scripts";
import type * as Ws from "ws";
import type { ClientOptions, WebSocket as Socket, WebSocketServer as SocketServer } from "ws";
import { type EngineUnderTest, startEngine } from "./engine-under-test.ts";

// Bun puts something of its own in the place of the package's name; its file is what Node applications run.
const { WebSocket, WebSocketServer } = (await import(
  fileURLToPath(new URL("wrapper.mjs", import.meta.resolve("ws/package.json")))
)) as typeof Ws;

let http: Server;
let sockets: SocketServer;
let under: EngineUnderTest<"unused">;
/** What the server saw of each connection's end. */
const closes: { readonly code: number; readonly reason: string }[] = [];
const pings: string[] = [];

beforeAll(async () => {
  http = createServer((_, answer) => void answer.end("not upgraded\n"));
  sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024 });
  http.on("upgrade", (request, socket, head) => {
    if (request.url === "/refused") {
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
      return;
    }
    sockets.handleUpgrade(request, socket, head, (one) => {
      if (request.url === "/greets") one.send("before you ask");
      if (request.url === "/leaves") one.close(4001, "server leaves");
      if (request.url === "/dies") one.terminate();
      one.on("message", (data: Buffer, binary: boolean) => {
        if (!binary && data.toString() === "close me") one.close(4002, "as you wish");
        else one.send(data, { binary });
      });
      one.on("ping", (data: Buffer) => pings.push(data.toString()));
      one.on("close", (code: number, reason: Buffer) => closes.push({ code, reason: reason.toString() }));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  under = await startEngine({ unused: ok() }, () => ({ pools: { app: { endpoints: [port] } } }));
});

afterAll(async () => {
  sockets.close();
  for (const one of sockets.clients) one.terminate();
  // What the engine keeps alive would keep the server open.
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
  await under.close();
});

/** Opens a WebSocket through the engine. */
async function open(path = "/", options: ClientOptions = {}): Promise<Socket> {
  const socket = new WebSocket(`ws://127.0.0.1:${under.port}${path}`, options);
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  return socket;
}

function message(socket: Socket): Promise<{ readonly data: Buffer; readonly binary: boolean }> {
  return new Promise((resolve) => {
    socket.once("message", (data: Buffer, binary: boolean) => resolve({ data: Buffer.from(data), binary }));
  });
}

function closed(socket: Socket): Promise<{ readonly code: number; readonly reason: string }> {
  return new Promise((resolve) => {
    socket.once("close", (code: number, reason: Buffer) => resolve({ code, reason: reason.toString() }));
  });
}

async function hangUp(socket: Socket): Promise<void> {
  const end = closed(socket);
  socket.close();
  await end;
}

const endpoint = (): string => `127.0.0.1:${(http.address() as AddressInfo).port}`;

describe("a WebSocket", () => {
  test("text and binary, both ways", async () => {
    const socket = await open();
    const text = message(socket);
    socket.send("grüße");
    expect(await text).toEqual({ data: Buffer.from("grüße"), binary: false });
    const binary = message(socket);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    socket.send(bytes);
    expect(await binary).toEqual({ data: bytes, binary: true });
    await hangUp(socket);
  });

  test("a message in fragments", async () => {
    const socket = await open();
    const whole = message(socket);
    for (const piece of ["one ", "two ", "three"]) {
      socket.send(piece, { fin: piece === "three" });
      await Bun.sleep(2);
    }
    expect((await whole).data.toString()).toBe("one two three");
    await hangUp(socket);
  });

  test("ping and pong, in both directions", async () => {
    const socket = await open();
    const pong = new Promise<string>((resolve) => {
      socket.once("pong", (data: Buffer) => resolve(data.toString()));
    });
    socket.ping("are you there");
    expect(await pong).toBe("are you there");
    expect(pings).toContain("are you there");
    await hangUp(socket);
  });

  test("close codes and reasons arrive as they were sent", async () => {
    const asked = await open();
    const end = closed(asked);
    asked.send("close me");
    expect(await end).toEqual({ code: 4002, reason: "as you wish" });

    const leaving = await open("/leaves");
    expect(await closed(leaving)).toEqual({ code: 4001, reason: "server leaves" });

    const count = closes.length;
    const socket = await open();
    socket.close(4003, "client leaves");
    await eventually("the server is told", () => closes.length > count);
    expect(closes.at(-1)).toEqual({ code: 4003, reason: "client leaves" });
  });

  test("a server that dies is seen to have died", async () => {
    const socket = await open("/dies").catch(() => null);
    if (socket !== null) expect((await closed(socket)).code).toBe(1006);
  });

  test("a client that dies is seen to have died", async () => {
    const count = closes.length;
    const socket = await open();
    socket.terminate();
    await eventually("the server is told", () => closes.length > count);
    expect(closes.at(-1)?.code).toBe(1006);
  });

  test("a message with the 101 itself", async () => {
    for (let round = 0; round < 20; round++) {
      const socket = new WebSocket(`ws://127.0.0.1:${under.port}/greets`);
      expect((await message(socket)).data.toString()).toBe("before you ask");
      await hangUp(socket);
    }
  });

  test("messages of a megabyte, several under way in each direction", async () => {
    const socket = await open("/", { maxPayload: 64 * 1024 * 1024, perMessageDeflate: false });
    const sent = Array.from({ length: 6 }, (_, i) => Buffer.alloc(1_000_000 + i, i));
    const received: Buffer[] = [];
    socket.on("message", (data: Buffer) => received.push(Buffer.from(data)));
    for (const one of sent) socket.send(one);
    await eventually("all of them", () => received.length === sent.length);
    expect(received.map((one, i) => Buffer.compare(one, sent[i] as Buffer))).toEqual(sent.map(() => 0));
    await hangUp(socket);
  });

  test("compressed, as browsers do", async () => {
    const socket = await open("/", { perMessageDeflate: true });
    const back = message(socket);
    const text = "the same again and again ".repeat(5000);
    socket.send(text);
    expect((await back).data.toString()).toBe(text);
    await hangUp(socket);
  });

  test("fifty at once: counted while they are open, each with its own messages", async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => open()));
    expect(under.endpoint("app", endpoint(), "tunnels")).toBe(50);
    expect(under.endpoint("app", endpoint(), "inFlight")).toBe(50);
    for (let round = 0; round < 5; round++) {
      const answers = all.map(message);
      all.forEach((socket, i) => socket.send(`${i} in round ${round}`));
      expect((await Promise.all(answers)).map(({ data }) => data.toString())).toEqual(
        all.map((_, i) => `${i} in round ${round}`),
      );
    }
    await Promise.all(all.map(hangUp));
    await eventually("none is open", () => under.endpoint("app", endpoint(), "tunnels") === 0);
    await eventually("none is in flight", () => under.endpoint("app", endpoint(), "inFlight") === 0);
  });

  test("refused by the server: the refusal arrives whole", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${under.port}/refused`);
    const status = await new Promise<number | undefined>((resolve) => {
      socket.once("unexpected-response", (_, answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      socket.once("error", () => resolve(undefined));
    });
    expect(status).toBe(403);
    socket.terminate();
  });
});

// What the door for datagrams takes for granted of Bun, and its types do not show: each held here, so that a Bun that
// changes it fails in this place.
import { afterEach, expect, test } from "bun:test";
import { createDatagramTransport, type DatagramDoor } from "../../../packages/balancer/src/net/datagrams.ts";
import { duplicate } from "../../../packages/balancer/src/net/libc.ts";
import { closeFd, isDatagramSocket, openDatagramSocket } from "../../../packages/balancer/src/net/listening-socket.ts";
import { eventually } from "@plimsoll/testbed/waiting";

const defects: unknown[] = [];
const taken = { now: 0, most: 1_000 };
const descriptors = {
  get isFull() {
    return taken.now >= taken.most;
  },
  taken: () => void taken.now++,
  freed: () => void taken.now--,
};
const transport = createDatagramTransport(descriptors, (error) => void defects.push(error));
const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
  expect(defects.splice(0)).toEqual([]);
  expect(taken.now).toBe(0);
});

interface Heard {
  readonly text: string;
  readonly address: string;
  readonly port: number;
}

/** A door that remembers what it hears. */
function door(host: string, fd?: number): { readonly door: DatagramDoor; readonly heard: Heard[] } {
  const heard: Heard[] = [];
  const opened = transport.open({ kind: "tcp", host, port: 0 }, fd, (bytes, address, port) => {
    heard.push({ text: Buffer.from(bytes).toString("latin1"), address, port });
  });
  ends.push(() => opened.close());
  return { door: opened, heard };
}

/** A connected socket to it. */
function connected(host: string, port: number) {
  const heard: string[] = [];
  const refused: string[] = [];
  const connection = transport.connect(
    { kind: "tcp", host, port },
    {
      onDatagram: (bytes) => void heard.push(Buffer.from(bytes).toString("latin1")),
      onRefused: (cause) => void refused.push(cause),
    },
  );
  if (connection === null) throw new Error("no socket");
  ends.push(() => connection.close());
  return { connection, heard, refused };
}

const text = (value: string): Uint8Array => Buffer.from(value, "latin1");

test("a descriptor that libc bound is read, and both sides send by it", async () => {
  for (const [host, from] of [
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
    ["::", "127.0.0.1"],
  ] as const) {
    const { door: opened, heard } = door(host);
    const client = connected(from, opened.port);
    // At once: before Bun has taken the descriptor in.
    expect(client.connection.send(text("hello"))).toBe(true);
    const [first] = await eventually("the datagram", () => (heard.length > 0 ? heard : undefined));
    expect(first).toMatchObject({ text: "hello" });
    const sender = transport.senderOf(first!.address, first!.port, opened);
    expect(sender.address).toBe(from);
    expect(opened.send(text("welcome"), sender)).toBe(true);
    await eventually("the answer", () => (client.heard[0] === "welcome" ? true : undefined));
  }
});

test("empty ones and the largest there are arrive whole, and one that is larger is not sent", async () => {
  const { door: opened, heard } = door("127.0.0.1");
  const { connection } = connected("127.0.0.1", opened.port);
  for (const length of [0, 1, 65_507]) expect(connection.send(new Uint8Array(length))).toBe(true);
  expect(connection.send(new Uint8Array(65_508))).toBe(false);
  await eventually("three datagrams", () => (heard.length === 3 ? true : undefined));
  expect(heard.map((one) => one.text.length)).toEqual([0, 1, 65_507]);
});

test("that nobody listens is told to a connected socket, each time", async () => {
  const { door: opened } = door("127.0.0.1");
  const { port } = opened;
  opened.close();
  const { connection, refused } = connected("127.0.0.1", port);
  // Bun may close what it read from a moment later.
  for (let times = 1; times <= 2; times++) {
    const before = refused.length;
    await eventually("a refusal", () => {
      connection.send(text("anybody?"));
      return refused.length > before ? true : undefined;
    });
  }
  expect(new Set(refused)).toEqual(new Set(["ECONNREFUSED"]));
});

test("that nobody listens is told also when the second of two datagrams hears of it", async () => {
  const { door: opened } = door("127.0.0.1");
  const { port } = opened;
  opened.close();
  const { connection, refused } = connected("127.0.0.1", port);
  // The refusal of the first is there before the second is sent, and no longer told to who reads.
  await eventually("a second send that fails", () => {
    connection.send(text("A"));
    return connection.send(text("AAAA")) ? undefined : true;
  });
  await eventually("the refusal", () => (refused.length > 0 ? true : undefined));
  expect(new Set(refused)).toEqual(new Set(["ECONNREFUSED"]));
});

test("sockets to endpoints are counted, given back, and refused where no descriptor is left", () => {
  const { door: opened } = door("127.0.0.1");
  const one = connected("127.0.0.1", opened.port);
  expect(taken.now).toBe(1);
  taken.most = 1;
  expect(() => connected("127.0.0.1", opened.port)).toThrow("no socket");
  one.connection.close();
  one.connection.close();
  expect(taken.now).toBe(0);
  taken.most = 1_000;
});

test("a door that is shut reads no more and still sends; what arrives waits for who reads the same socket next", async () => {
  const { fd } = openDatagramSocket({ kind: "tcp", host: "127.0.0.1", port: 0 });
  ends.push(() => closeFd(fd));
  expect(isDatagramSocket(fd)).toBe(true);
  const first = door("127.0.0.1", duplicate(fd));
  const client = connected("127.0.0.1", first.door.port);
  client.connection.send(text("one"));
  await eventually("the first datagram", () => (first.heard.length === 1 ? true : undefined));
  first.door.shut();
  client.connection.send(text("two"));
  const { address, port } = first.heard[0]!;
  expect(first.door.send(text("late"), transport.senderOf(address, port, first.door))).toBe(true);
  await eventually("the late answer", () => (client.heard[0] === "late" ? true : undefined));
  first.door.close();
  const second = door("127.0.0.1", duplicate(fd));
  await eventually("the second datagram", () => (second.heard.length === 1 ? true : undefined));
  expect([first.heard.length, second.heard[0]?.text]).toEqual([1, "two"]);
});

test("sockets that share a port share the clients, and each client stays with one", async () => {
  const first = openDatagramSocket({ kind: "tcp", host: "127.0.0.1", port: 0 }, true);
  const second = openDatagramSocket({ kind: "tcp", host: "127.0.0.1", port: first.port }, true);
  const doors = [first, second].map(({ fd }) => door("127.0.0.1", fd));
  const clients = Array.from({ length: 40 }, () => connected("127.0.0.1", first.port));
  for (let turn = 0; turn < 3; turn++) for (const { connection } of clients) connection.send(text("x"));
  await eventually("all of them", () => (doors[0]!.heard.length + doors[1]!.heard.length === 120 ? true : undefined));
  const ports = doors.map(({ heard }) => new Set(heard.map(({ port }) => port)));
  expect([...ports[0]!].filter((port) => ports[1]!.has(port))).toEqual([]);
  for (const { heard } of doors) expect(heard.length % 3).toBe(0);
});

test("a port that is taken is refused with a sentence that says what to do", () => {
  const { door: opened } = door("127.0.0.1");
  expect(() => openDatagramSocket({ kind: "tcp", host: "127.0.0.1", port: opened.port })).toThrow(
    new RegExp(`Cannot listen on 127\\.0\\.0\\.1:${opened.port}.*in use.*ss -lunp`),
  );
});

// A whole program with a listener of datagrams: supervisor, two workers, real endpoints.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { parseProxyHeader, ProxyHeader } from "@plimsoll/wire/proxy-protocol";
import { cleanUp, isAlive, later, run, type Running, until } from "../control/running.ts";

setDefaultTimeout(60_000);
afterEach(cleanUp);

/** A socket of the test's own, closed with it. */
async function socket(): Promise<Socket> {
  const made = createSocket("udp4");
  later(() => new Promise((resolve) => made.close(() => resolve())));
  made.bind(0, "127.0.0.1");
  await once(made, "listening");
  return made;
}

/** An endpoint that answers each datagram with its name and what it was sent. */
async function endpoint(name: string): Promise<{ readonly port: number; readonly senders: Set<number> }> {
  const server = await socket();
  const senders = new Set<number>();
  server.on("message", (bytes, { port, address }) => {
    senders.add(port);
    server.send(`${name}:${bytes.toString()}`, port, address);
  });
  return { port: server.address().port, senders };
}

/** A client with one address and port. Asks again until it is answered, as clients of UDP do. */
class Client {
  readonly #socket: Socket;
  readonly heard: string[] = [];

  constructor(made: Socket) {
    this.#socket = made;
    made.on("message", (bytes) => void this.heard.push(bytes.toString()));
  }

  send(text: string, port: number): void {
    this.#socket.send(text, port, "127.0.0.1");
  }

  /** The name of who answered. */
  async ask(text: string, port: number): Promise<string> {
    let next = 0;
    return until(`an answer to ${text}`, () => {
      if (performance.now() >= next) {
        this.send(text, port);
        next = performance.now() + 200;
      }
      const answer = this.heard.find((one) => one.endsWith(`:${text}`));
      return answer?.split(":")[0];
    });
  }
}

async function client(): Promise<Client> {
  return new Client(await socket());
}

function config(endpoints: readonly number[], extra: object = {}): object {
  return {
    listeners: { dns: { address: "127.0.0.1:0", protocol: "udp", udp: extra, routes: [{ pool: "app" }] } },
    pools: { app: { endpoints: endpoints.map((port) => `127.0.0.1:${port}`), readiness: "off" } },
    admin: { address: "127.0.0.1:0" },
    log: { access: "none" },
    shutdown: { lag: "0s", window: "5s" },
    workers: 2,
  };
}

/** One family of the metrics, summed. */
async function metric(running: Running, name: string): Promise<number> {
  const { text } = await running.admin("GET", "/metrics");
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

test("clients are spread over workers and endpoints, each stays where it is, and answers are its own", async () => {
  const [a, b] = [await endpoint("a"), await endpoint("b")];
  const running = await run(config([a.port, b.port]));
  const port = await running.port("dns");
  const clients = await Promise.all(Array.from({ length: 16 }, client));
  const names: string[] = [];
  for (const [index, one] of clients.entries()) {
    const first = await one.ask(`${index}-first`, port);
    for (let turn = 0; turn < 3; turn++) expect(await one.ask(`${index}-${turn}`, port)).toBe(first);
    expect(one.heard.every((text) => text.includes(`:${index}-`))).toBe(true);
    names.push(first);
  }
  expect(new Set(names)).toEqual(new Set(["a", "b"]));
  expect(a.senders.size + b.senders.size).toBe(16);
  expect(await metric(running, "plimsoll_listener_connections_open")).toBe(16);
  expect(await metric(running, "plimsoll_listener_datagrams_received_total")).toBeGreaterThanOrEqual(64);
});

test("datagrams that arrive while their worker is dead are served by its successor", async () => {
  const one = await endpoint("one");
  const running = await run({ ...config([one.port]), workers: 1 });
  const port = await running.port("dns");
  const asking = await client();
  await asking.ask("before", port);
  const pid = running.workerPids()[0] as number;
  process.kill(pid, "SIGKILL");
  await until("the worker is dead", () => !isAlive(pid));
  // Once: nobody asks again here.
  asking.send("meanwhile", port);
  await until("the answer to what waited", () => asking.heard.includes("one:meanwhile"));
  expect(running.workerPids().length).toBe(2);
});

test("a reload takes flows away from an endpoint that leaves, and from no other", async () => {
  const [a, b] = [await endpoint("a"), await endpoint("b")];
  const running = await run(config([a.port, b.port]));
  const port = await running.port("dns");
  const clients = await Promise.all(Array.from({ length: 8 }, client));
  const before = [];
  for (const [index, one] of clients.entries()) before.push(await one.ask(`${index}-before`, port));
  expect(new Set(before).size).toBe(2);
  const kept = b.senders.size;
  running.configure(config([b.port], {}));
  expect((await running.admin("POST", "/reload")).status).toBe(200);
  await until(
    "the flows of a are gone",
    async () => (await metric(running, "plimsoll_listener_connections_open")) === kept,
  );
  const senders = new Set(b.senders);
  for (const [index, one] of clients.entries()) expect(await one.ask(`${index}-after`, port)).toBe("b");
  // Those that were at b already are seen there under the ports they had.
  expect([...senders].filter((sender) => b.senders.has(sender)).length).toBe(kept);
  expect(b.senders.size).toBe(8);
});

test("an endpoint that is gone is found out by its own word, and its clients asked elsewhere", async () => {
  const gone = createSocket("udp4");
  gone.bind(0, "127.0.0.1");
  await once(gone, "listening");
  const dead = gone.address().port;
  gone.close();
  await once(gone, "close");
  const alive = await endpoint("alive");
  const running = await run(config([dead, alive.port]));
  const port = await running.port("dns");
  const clients = await Promise.all(Array.from({ length: 6 }, client));
  for (const [index, one] of clients.entries()) expect(await one.ask(String(index), port)).toBe("alive");
});

test("stopping answers what was asked, and ends", async () => {
  const server = await socket();
  const asked: { port: number; address: string }[] = [];
  server.on("message", (_, from) => void asked.push(from));
  const running = await run(config([server.address().port]));
  const asking = await client();
  asking.send("slow", await running.port("dns"));
  await until("the endpoint was asked", () => asked.length === 1);
  running.process.kill("SIGTERM");
  await until("it stops", () => running.event("program.stopping"));
  await Bun.sleep(300);
  server.send("x:slow", asked[0]!.port, asked[0]!.address);
  await until("the answer", () => asking.heard.includes("x:slow"));
  expect(await running.process.exited).toBe(0);
});

test("with proxyProtocol: v2 each datagram names its client, up to the longest that fits", async () => {
  const server = await socket();
  const got: { readonly header: ProxyHeader; readonly length: number }[] = [];
  server.on("message", (bytes, { port, address }) => {
    const header = new ProxyHeader();
    const end = parseProxyHeader(bytes, 0, bytes.length, header);
    got.push({ header, length: bytes.length - end });
    server.send(`heard:${bytes.subarray(end, end + 10).toString()}`, port, address);
  });
  const program = await run({
    listeners: { dns: { address: "127.0.0.1:0", protocol: "udp", routes: [{ pool: "app" }] } },
    pools: { app: { endpoints: [`127.0.0.1:${server.address().port}`], readiness: "off", proxyProtocol: "v2" } },
    admin: { address: "127.0.0.1:0" },
    log: { access: "none" },
    workers: 1,
  });
  const port = await program.port("dns");
  const made = await socket();
  const asking = new Client(made);
  expect(await asking.ask("one", port)).toBe("heard");
  expect(await asking.ask("two", port)).toBe("heard");
  // 65,507 bytes are all that UDP has over IPv4; 28 of them are the header.
  asking.send("x".repeat(65_507), port);
  expect(await asking.ask("y".repeat(10), port)).toBe("heard");
  asking.send("z".repeat(65_479), port);
  await until("the longest that fits is through", () => got.some(({ length }) => length === 65_479));
  expect(got.some(({ length }) => length === 65_507)).toBe(false);
  const facts = { version: 2, datagram: true, source: "127.0.0.1", sourcePort: made.address().port };
  for (const { header } of got) {
    expect(header).toMatchObject({ ...facts, destination: "127.0.0.1", destinationPort: port });
  }
});

// Event streams and long polls: what the origin writes is with the client before the origin writes on, byte by byte, in
// every framing, and a stream ends for both when it ends for one.
import { describe, expect, test } from "bun:test";
import type { OriginConnection } from "@plimsoll/testbed/origin-connection";
import type { Script } from "@plimsoll/testbed/script";
import { slow } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { textOf } from "@plimsoll/testbed/answers";
import { withEngine } from "./engine-under-test.ts";

const get = "GET /events HTTP/1.1\r\nHost: a.test\r\nAccept: text/event-stream\r\n\r\n";
const type = "Content-Type: text/event-stream\r\n";

/** An origin that gives its connections to the test. */
function handedOver(): { readonly script: Script; next(): Promise<OriginConnection> } {
  const waiting: OriginConnection[] = [];
  return {
    script: { onRequest: (_, connection) => void waiting.push(connection) },
    next: () => eventually("a request", () => waiting.shift(), 5000, 1),
  };
}

describe("each byte at once", () => {
  const framings = {
    chunked: { lines: "Transfer-Encoding: chunked\r\n", byte: (one: string) => `1\r\n${one}\r\n`, end: "0\r\n\r\n" },
    "until close": { lines: "", byte: (one: string) => one, end: "" },
    "with a length": { lines: "Content-Length: 24\r\n", byte: (one: string) => one, end: "" },
  };
  const text = "event: tick\ndata: 1\n\n..\n";
  for (const [name, { lines, byte, end }] of Object.entries(framings)) {
    test(name, async () => {
      const { script, next } = handedOver();
      await withEngine({ app: script }, undefined, async (under) => {
        const client = await under.connect();
        await client.send(get);
        const origin = await next();
        origin.write(`HTTP/1.1 200 OK\r\n${type}${lines}\r\n`);
        await client.readUntil("\r\n\r\n");
        for (const one of text) {
          origin.write(byte(one));
          // No byte of the stream waits for the next one.
          await client.readUntil(name === "with a length" ? one : `1\r\n${one}\r\n`);
        }
        expect(client.unread.length).toBe(0);
        origin.write(end);
        if (name === "until close") origin.end();
        if (name !== "with a length") await client.readUntil("0\r\n\r\n");
        expect(client.ending).toBe("open");
      });
    });
  }

  test("an upload, too: each byte is with the origin before the next is sent", async () => {
    let seen: { readonly bodyLength: number } | undefined;
    const script: Script = { onHead: (request) => void (seen = request), ...slow(0) };
    await withEngine({ app: script }, undefined, async (under) => {
      const client = await under.connect();
      await client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
      await eventually("the head", () => seen, 5000, 1);
      for (let count = 1; count <= 20; count++) {
        await client.send("1\r\nx\r\n");
        await eventually(`byte ${count}`, () => seen?.bodyLength === count, 5000, 1);
      }
      await client.send("0\r\n\r\n");
      expect((await client.readAnswer()).status).toBe(200);
    });
  });
});

test("a hundred streams at once: each client gets its own", async () => {
  const streams = new Map<string, OriginConnection>();
  const script: Script = {
    onRequest: (request, one) => {
      streams.set(request.target, one);
      one.write(`HTTP/1.1 200 OK\r\n${type}Transfer-Encoding: chunked\r\n\r\n`);
    },
  };
  await withEngine({ app: script }, undefined, async (under) => {
    const clients = await Promise.all(
      Array.from({ length: 100 }, async (_, number) => {
        const client = await under.connect();
        await client.send(`GET /${number} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
        await client.readUntil("\r\n\r\n");
        return client;
      }),
    );
    for (let round = 0; round < 5; round++) {
      for (const [target, one] of streams) one.write(`${(target.length + 2).toString(16)}\r\n${target}:${round}\r\n`);
      await Promise.all(clients.map((client, number) => client.readUntil(`\r\n/${number}:${round}\r\n`)));
    }
    for (const client of clients) expect(client.unread.length).toBe(0);
    // Half of the clients leave: their origins see it, the other half goes on.
    for (const client of clients.slice(50)) client.reset();
    await eventually("the endpoint is told", () => under.endpoint("app", under.origin().address, "inFlight") === 50);
    for (const one of streams.values()) one.write("0\r\n\r\n");
    await Promise.all(clients.slice(0, 50).map((client) => client.readUntil("0\r\n\r\n")));
  });
});

test("a client that leaves its stream: the origin's connection ends, and the log says so", async () => {
  const { script, next } = handedOver();
  await withEngine({ app: script }, undefined, async (under) => {
    const client = await under.connect();
    await client.send(get);
    const origin = await next();
    origin.write(`HTTP/1.1 200 OK\r\n${type}\r\ndata: 1\n\n`);
    await client.readUntil("data: 1\n\n");
    client.reset();
    await eventually("the origin is told", () => origin.ending === "rst");
    const record = await under.record(0);
    expect([record.fault, record.status]).toEqual(["client-gone", 200]);
  });
});

test("a client that leaves while it waits: the origin's connection ends at once", async () => {
  const { script, next } = handedOver();
  await withEngine({ app: script }, undefined, async (under) => {
    const client = await under.connect();
    await client.send(get);
    const origin = await next();
    client.reset();
    await eventually("the origin is told", () => origin.ending === "rst");
    expect(under.faults("client-gone")).toBe(1);
  });
});

test("a long poll: nothing for a while, then the whole answer", async () => {
  await withEngine({ app: slow(400, "news\n") }, undefined, async (under) => {
    const client = await under.connect();
    await client.send("GET /poll HTTP/1.1\r\nHost: a.test\r\n\r\n");
    expect(textOf(await client.readAnswer())).toBe("news\n");
  });
});

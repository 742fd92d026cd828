// Nothing stays behind: after 50,000 requests there are as many objects as after 5,000, whatever became of the requests.
import { describe, expect, test } from "bun:test";
import { heapStats } from "bun:jsc";
import { runLoad } from "@plimsoll/testbed/load";
import { ok } from "@plimsoll/testbed/scripts";
import { eventually } from "@plimsoll/testbed/waiting";
import { type EngineUnderTest, withEngine } from "./engine-under-test.ts";

/** An origin that remembers nothing: those of the testbed keep what they saw. Its answers depend on the path. */
function forgetful(): { readonly port: number; stop(): void } {
  const requests = new Map<unknown, string>();
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => void requests.set(socket, ""),
      close: (socket) => void requests.delete(socket),
      data(socket, bytes) {
        let text = (requests.get(socket) ?? "") + bytes.toString("latin1");
        for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
          const head = text.slice(0, end);
          const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
          if (text.length < end + 4 + length) break;
          const body = text.slice(end + 4, end + 4 + length);
          text = text.slice(end + 4 + length);
          const id = /^x-load-id: (.*)$/im.exec(head)?.[1] ?? "";
          if (head.includes(" /broken")) socket.write("HTTP/1.1 200 OK\r\nbroken\r\n\r\n");
          else if (head.includes(" /dead")) socket.end();
          else socket.write(`HTTP/1.1 200 OK\r\nX-Load-Id: ${id}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        }
        // Gone already, if that was its end.
        if (requests.has(socket)) requests.set(socket, text);
      },
    },
  });
  return { port: server.port, stop: () => server.stop(true) };
}

/** Live objects, once nothing is under way and everything that can be collected was. */
async function objects(under: EngineUnderTest): Promise<number> {
  await eventually("nothing under way", () => Object.keys(under.underWay).length === 0);
  under.records.length = 0;
  // What the first collection finalises, the second frees.
  for (let i = 0; i < 3; i++) {
    Bun.gc(true);
    await Bun.sleep(5);
  }
  return heapStats().objectCount;
}

/** Fewer than a tenth of an object for each further request: one that stays would be ten times as many. */
const most = (requests: number): number => requests / 10;

const kinds = {
  "kept connections": { path: "/", requests: 50_000, perConnection: Infinity, bodyBytes: 0 },
  "bodies of 2,000 bytes": { path: "/", requests: 10_000, perConnection: Infinity, bodyBytes: 2000 },
  "a connection for each request": { path: "/", requests: 5000, perConnection: 1, bodyBytes: 0 },
  "answers that are none": { path: "/broken", requests: 5000, perConnection: Infinity, bodyBytes: 0 },
  "endpoints that hang up": { path: "/dead", requests: 4000, perConnection: 3, bodyBytes: 0 },
} as const;

describe("no growth", () => {
  for (const [name, { path, requests, perConnection, bodyBytes }] of Object.entries(kinds)) {
    test(`${requests} requests: ${name}`, async () => {
      const origin = forgetful();
      try {
        await withEngine(
          { unused: ok() },
          () => ({
            listener: { limits: { requestsPerConnection: 0 } },
            pools: { app: { endpoints: [origin.port] } },
          }),
          async (under) => {
            const load = async (count: number): Promise<void> => {
              const result = await runLoad({
                port: under.port,
                connections: 32,
                requests: count,
                path,
                bodyBytes,
                ...(perConnection === Infinity ? {} : { perConnection }),
              });
              if (path === "/") expect(result.examples).toEqual([]);
              else expect(result.statuses).toEqual({ 502: count });
            };
            await load(requests / 10);
            const before = await objects(under);
            await load(requests * 0.9);
            expect((await objects(under)) - before).toBeLessThan(most(requests * 0.9));
            expect(under.listener("requests")).toBe(requests);
          },
        );
      } finally {
        origin.stop();
      }
    }, 60_000);
  }
});

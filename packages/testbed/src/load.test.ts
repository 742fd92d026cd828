// The load must notice each way in which an answer can be wrong; a load that counts everything as good proves nothing.
import { afterEach, expect, test } from "bun:test";
import { withoutLeaks } from "./leaks.ts";
import { type Failure, runLoad } from "./load.ts";
import { type Origin, startOrigin } from "./origin.ts";
import { freePort } from "./processes.ts";
import type { Script, SeenRequest } from "./script.ts";
import * as scripts from "./scripts.ts";

let origin: Origin | undefined;
afterEach(async () => {
  await origin?.close();
  origin = undefined;
});

async function port(script?: Script): Promise<number> {
  origin = await startOrigin(script ? { script } : {});
  return origin.port;
}

test("all is well with an honest origin, with and without bodies, and nothing is left open", async () => {
  const at = await port();
  await withoutLeaks(() => runLoad({ port: at, requests: 1 }));
  const plain = await runLoad({ port: at, requests: 500, connections: 4 });
  expect(plain).toMatchObject({ sent: 500, ok: 500, failed: 0, connections: 4 });
  const bodies = await runLoad({ port: at, requests: 40, connections: 3, bodyBytes: 200_000, perConnection: 7 });
  expect(bodies).toMatchObject({ sent: 40, ok: 40, failed: 0 });
  expect(bodies.connections).toBeGreaterThan(5);
  expect(origin?.requests).toHaveLength(541);
  origin?.assertClean();
});

const honest = (request: SeenRequest, more = ""): string =>
  `HTTP/1.1 200 OK\r\nX-Load-Id: ${request.header("x-load-id") ?? ""}\r\nContent-Length: 0\r\n\r\n${more}`;

/** Every tenth request goes wrong. */
function everyTenth(wrong: Script): Script {
  const right = scripts.bytes((request) => honest(request));
  return {
    onRequest: (request, connection) =>
      (Number(request.header("x-load-id")) % 10 === 3 ? wrong : right).onRequest?.(request, connection),
  };
}

const cases: readonly (readonly [Failure, Script])[] = [
  ["status", scripts.bytes(scripts.answerText("busy", "503 Service Unavailable"))],
  ["reset", scripts.resetMidway("HTTP/1.1 200", 0)],
  ["reset", scripts.resetMidway("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 42)],
  ["closed", scripts.closeMidway("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 42)],
  ["timeout", scripts.neverAnswers()],
  ["malformed", scripts.garbage()],
  ["mismatch", scripts.bytes("HTTP/1.1 200 OK\r\nX-Load-Id: 99999\r\nContent-Length: 0\r\n\r\n")],
  ["mismatch", scripts.bytes((request) => honest(request).replace("Length: 0\r\n\r\n", "Length: 1\r\n\r\nx"))],
];

test.each(cases)("counts as %s", async (kind, wrong) => {
  const result = await runLoad({ port: await port(everyTenth(wrong)), requests: 50, connections: 2, timeout: 100 });
  expect(result).toMatchObject({ sent: 50, ok: 45, failed: 5 });
  expect(result.failures[kind]).toBe(5);
  if (kind === "status") expect(result.statuses).toEqual({ 503: 5 });
  expect(result.examples).toHaveLength(5);
});

test("bytes behind an answer spoil it or the connection, but never the next answer", async () => {
  const script = scripts.bytes((request) => honest(request, "HTTP/1.1 200 OK\r\n"));
  const result = await runLoad({ port: await port(script), requests: 10, connections: 1 });
  expect(result.failures.mismatch).toBe(10);
});

test("nobody listens, and enough is enough", async () => {
  const nobody = await runLoad({ port: await freePort(), requests: 6, connections: 2 });
  expect(nobody.failures.refused).toBe(6);
  const at = await port(scripts.slow(5));
  expect((await runLoad({ port: at, requests: 1_000_000, duration: 60, connections: 2 })).sent).toBeLessThan(100);
  const stop = AbortSignal.timeout(50);
  expect((await runLoad({ port: at, requests: 1_000_000, signal: stop, connections: 2 })).sent).toBeLessThan(100);
});

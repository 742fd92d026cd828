// The admin API over real sockets: who is let in, and what a scraper gets.
import { afterEach, expect, test } from "bun:test";
import { cleanUp, configFor, run, startOrigin } from "./running.ts";

afterEach(cleanUp);

/** Sends bytes as they are, and reads until the connection ends. */
async function raw(url: string, lines: readonly string[], body = ""): Promise<string> {
  const { hostname, port } = new URL(url);
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = "";
  await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: (socket) => void socket.write(`${[...lines, "Connection: close"].join("\r\n")}\r\n\r\n${body}`),
      data: (_, bytes) => void (received += bytes.toString("latin1")),
      close: () => resolve(received),
    },
  });
  return promise;
}

test("pages of other sites and rebound names are kept out, before anything is done", async () => {
  const program = await run(configFor(0, [startOrigin().port]));
  const { admin } = program.note();
  const host = new URL(admin).host;
  const status = async (...lines: string[]) => Number((await raw(admin, lines)).slice(9, 12));
  expect(await status("GET /status HTTP/1.1", `Host: ${host}`)).toBe(200);
  expect(await status("GET /status HTTP/1.1", "Host: rebound.example")).toBe(403);
  expect(await status("GET http://127.0.0.1/status HTTP/1.1", "Host: rebound.example")).not.toBe(200);
  expect(await status("POST /stop HTTP/1.1", `Host: ${host}`, "Origin: https://evil.example")).toBe(403);
  expect(await status("POST /stop HTTP/1.1", `Host: ${host}`, "Sec-Fetch-Site: cross-site", "Content-Length: 0")).toBe(
    403,
  );
  expect(await status("OPTIONS /reload HTTP/1.1", `Host: ${host}`, "Origin: https://evil.example")).toBe(403);
  const answer = await raw(admin, ["GET /status HTTP/1.1", `Host: ${host}`]);
  expect(answer.toLowerCase()).not.toContain("access-control-allow");
  expect((await program.status()).readiness).toBe("ready");
}, 20_000);

test("a body beyond the bound is refused, and the program lives on", async () => {
  const program = await run(configFor(0, [startOrigin().port]));
  const { admin } = program.note();
  const head = ["POST /pools/app/endpoints/x/state HTTP/1.1", "Host: localhost", "Content-Length: 1000000"];
  const answer = await raw(admin, head, "x".repeat(1_000_000));
  expect(answer.slice(0, 12)).not.toBe("HTTP/1.1 200");
  expect((await program.status()).readiness).toBe("ready");
}, 20_000);

test("metrics are what a scraper expects", async () => {
  const program = await run(configFor(0, [startOrigin().port]));
  const port = await program.port();
  for (let i = 0; i < 5; i++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
  const answer = await fetch(`${program.note().admin}/metrics`);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await answer.text();
  for (const line of [
    "plimsoll_ready 1",
    'plimsoll_listener_requests_total{listener="web"} 5',
    'plimsoll_listener_answers_total{listener="web",class="2xx"} 5',
    'plimsoll_pool_requests_total{pool="app"} 5',
    'plimsoll_pool_duration_seconds_count{pool="app"} 5',
    'plimsoll_worker_up{worker="1"} 1',
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).toMatch(/plimsoll_listener_sent_bytes_total\{listener="web"\} [1-9]/);
}, 20_000);

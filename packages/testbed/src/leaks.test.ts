import { expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { descriptors, openSockets, residentBytes, withoutLeaks } from "./leaks.ts";

function listen(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

test("sees a socket and a file come and go", async () => {
  await (await listen()).close();
  const sockets = openSockets();
  const files = descriptors().get("file") ?? 0;
  const server = await listen();
  const file = openSync("/dev/null", "r");
  expect(openSockets()).toBe(sockets + 1);
  expect(descriptors().get("file")).toBe(files + 1);
  closeSync(file);
  await withoutLeaks(() => {});
  await new Promise((resolve) => server.close(resolve));
});

test("a socket left open is told, one closed late is not", async () => {
  let left: Server | undefined;
  const leaking = withoutLeaks(async () => void (left = await listen()), "self", 50);
  await expect(leaking).rejects.toThrow(/\d+ sockets are open, and \d+ were before/);
  left?.close();
  await withoutLeaks(async () => {
    const server = await listen();
    setTimeout(() => server.close(), 30);
  });
});

test("memory is read in bytes", () => {
  expect(residentBytes()).toBeGreaterThan(10_000_000);
  expect(Math.abs(residentBytes() - process.memoryUsage().rss)).toBeLessThan(20_000_000);
});

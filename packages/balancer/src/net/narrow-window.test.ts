import { afterEach, expect, test } from "bun:test";
import { createBunTransport } from "./bun-transport.ts";
import { cleanUp, cleanups, listen, pair, passed, Recorder } from "./fixtures/connections.ts";
import { closeFd, libc, linux } from "./libc.ts";
import { boundIfNarrow } from "./narrow-window.ts";
import { encodeAddress } from "./socket-address.ts";
import type { Connection } from "./transport.ts";

afterEach(cleanUp);

/** Plain, whatever the tests of other files are described with. */
const transport = createBunTransport();
const SO_RCVBUF = 8;
const total = 1_000_000;
const source = new Uint8Array(total);
for (let at = 0; at < total; at++) source[at] = (at * 31) >> 3;

/** A client whose receive buffer was made as small as it goes before it connected, and the connection that it is here. */
async function narrowPair(): Promise<{ readonly fd: number; readonly far: Connection; readonly seen: Recorder }> {
  const seen = new Recorder();
  let far: Connection | undefined;
  const { port } = listen((connection) => ((far = connection), seen), transport);
  const fd = libc.socket(linux.AF_INET, linux.SOCK_STREAM | linux.SOCK_NONBLOCK, 0);
  cleanups.push(() => closeFd(fd));
  libc.setsockopt(fd, linux.SOL_SOCKET, SO_RCVBUF, new Uint32Array([1]), 4);
  const address = encodeAddress({ kind: "tcp", host: "127.0.0.1", port });
  if (typeof address === "string") throw new Error(address);
  libc.connect(fd, address.bytes, address.bytes.length);
  while (far === undefined) await passed(1);
  const accepted = far;
  cleanups.push(() => accepted.reset());
  return { fd, far: accepted, seen };
}

test("the kernel takes little for a peer with next to no window, and asks for the rest when that is sent", async () => {
  const { fd, far, seen } = await narrowPair();
  const length = 120_000;
  let sent = far.write(source, 0, total);
  expect(sent).toBeGreaterThan(0);
  expect(sent).toBeLessThan(64 * 1024);
  expect(far.unsent()).toBeLessThan(64 * 1024);
  seen.onDrain = () => {
    seen.events.push("drain");
    if (sent < length) sent += far.write(source, sent, length);
  };
  const got = new Uint8Array(length);
  const piece = new Uint8Array(4096);
  for (let at = 0; at < length;) {
    const read = Number(libc.recv(fd, piece, piece.length, linux.MSG_DONTWAIT));
    if (read > 0) got.set(piece.subarray(0, read), at);
    if (read > 0) at += read;
    else await passed(1);
  }
  expect(seen.events).toContain("drain");
  expect(Buffer.compare(got, source.subarray(0, length))).toBe(0);
}, 30_000);

test("in small pieces it gets no more; the first 16 KiB are written without a look", async () => {
  const { far } = await narrowPair();
  const piece = 4 * 1024;
  let pieces = 0;
  while (pieces < 100 && far.write(source, 0, piece) === piece) pieces++;
  expect(pieces).toBeGreaterThanOrEqual(4);
  expect(pieces).toBeLessThan(16);
  expect(far.unsent()).toBeLessThan(64 * 1024);
});

test("for whoever has a window of the usual size the kernel takes a megabyte, and no more", async () => {
  const { near, far } = await pair(transport);
  near.connection.pause();
  const before = far.connection.write(source, 0, total);
  expect(before).toBeGreaterThan(256 * 1024);
  // Until nothing more is taken: what the peer's kernel has room for counts for it, and grows.
  for (let quiet = 0; quiet < 5; quiet++) {
    if (far.connection.write(source, 0, total) > 0) quiet = 0;
    await passed(5);
  }
  expect(far.connection.unsent()).toBeGreaterThan(256 * 1024);
  expect(far.connection.unsent()).toBeLessThan(1.5 * 1024 * 1024);
});

test("what is no TCP connection is left alone", () => {
  expect(boundIfNarrow(-1)).toBeFalse();
  const fd = libc.socket(linux.AF_UNIX, linux.SOCK_STREAM, 0);
  expect(boundIfNarrow(fd)).toBeFalse();
  closeFd(fd);
});

import { afterEach, describe, expect, test } from "bun:test";
import { closeFd } from "../net/libc.ts";
import { inspectListening, openListeningSocket } from "../net/listening-socket.ts";
import { ListeningSockets, sharesOf, type InheritedSocket, type SocketSet } from "./sockets.ts";

const open: ListeningSockets[] = [];
afterEach(() => {
  for (const sockets of open.splice(0)) {
    sockets.keep([]);
    sockets.closeUnclaimed();
  }
});

function sockets(workers: number, inherited: readonly InheritedSocket[] = []): ListeningSockets {
  const made = new ListeningSockets(workers, inherited);
  open.push(made);
  return made;
}

type Listeners = Parameters<ListeningSockets["open"]>[0];
const listener = (name: string, port: number, host = "127.0.0.1") =>
  ({ name, address: { host, port } }) as unknown as Listeners[number];

/** `count` sockets beside each other on one port. */
function given(listenerName: string, count: number, asked = 0, shared = true): InheritedSocket[] {
  let port = 0;
  return Array.from({ length: count }, () => {
    const socket = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port }, { reusePort: shared });
    port = socket.port;
    return { listener: listenerName, host: "127.0.0.1", asked, port, shared, fd: socket.fd };
  });
}

function opened(from: ListeningSockets, ...listeners: Listeners): readonly SocketSet[] {
  const result = from.open(listeners);
  if ("problem" in result) throw new Error(result.problem);
  return result.opened;
}

const keys = (sets: readonly SocketSet[], row: number, workers: number) =>
  sharesOf(sets, row, workers).map(({ fd }) => sets[0]?.fds.indexOf(fd));

describe("what a program took over", () => {
  test("as many as workers: the same, and none is opened beside them", () => {
    const old = given("web", 2);
    const [set] = opened(sockets(2, old), listener("web", 0));
    expect(set?.fds).toEqual(old.map(({ fd }) => fd));
    expect([set?.port, set?.shared]).toEqual([old[0]!.port, true]);
  });

  test("fewer than workers: more are opened on the real port", () => {
    const [set] = opened(sockets(3, given("web", 1)), listener("web", 0));
    expect(set?.fds).toHaveLength(3);
    for (const fd of set?.fds ?? []) expect(inspectListening(fd)).toMatchObject({ port: set?.port, shared: true });
  });

  test("more than workers: each socket is somebody's, under a key of its own", () => {
    const sets = opened(sockets(2, given("web", 5)), listener("web", 0));
    expect([keys(sets, 0, 2), keys(sets, 1, 2)]).toEqual([
      [0, 2, 4],
      [1, 3],
    ]);
    const all = [0, 1].flatMap((row) => sharesOf(sets, row, 2).map(({ key }) => `${row} ${key}`));
    expect(new Set(all).size).toBe(5);
    expect(sharesOf(sets, 0, 2)[0]?.key).toBe(sets[0]!.key);
  });

  test("one that cannot have others beside it is shared by all workers", () => {
    const [set] = opened(sockets(2, given("web", 1, -1, false)), listener("web", 1));
    expect(set?.fds).toHaveLength(2);
    expect(set?.shared).toBe(false);
    for (const fd of set?.fds ?? []) expect(inspectListening(fd)).toMatchObject({ port: set?.port });
  });

  test("one that was found by its name is found so by whoever takes over next, whatever its address", () => {
    const old = given("web", 1, -1, false);
    const [set] = opened(sockets(1, old), listener("web", 4711));
    expect(set).toMatchObject({ named: true, port: old[0]!.port });
    const [fresh] = opened(sockets(1, given("web", 1)), listener("web", 0));
    expect(fresh?.named).toBe(false);
  });

  test("by address when the listener has another name now; what nobody wants is closed and told", () => {
    const [old, left] = [given("before", 1), given("gone", 1)];
    const { port } = old[0]!;
    const from = sockets(1, [...old, ...left]);
    const [set] = opened(from, listener("after", port));
    expect(set?.fds).toEqual([old[0]!.fd]);
    expect(from.closeUnclaimed()).toEqual([`127.0.0.1:${left[0]!.port}`]);
    expect(inspectListening(left[0]!.fd)).toBeString();
  });

  test("another port was asked for: it is not the same socket", () => {
    const old = given("web", 1, 0);
    const [set] = opened(sockets(1, old), listener("web", 0), listener("other", 0));
    expect(set?.fds).toEqual([old[0]!.fd]);
    const [fresh] = opened(sockets(1, given("web", 1, 4711)), listener("web", 0));
    expect(fresh?.fds).toHaveLength(1);
    expect(fresh?.port).not.toBe(4711);
  });
});

test("an address that somebody else has is refused, and nothing is left open", () => {
  const other = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const from = sockets(2);
  const result = from.open([listener("good", 0), listener("bad", other.port)]);
  expect(result).toMatchObject({ problem: expect.stringContaining("listener bad") });
  expect(from.all).toEqual([]);
  closeFd(other.fd);
});

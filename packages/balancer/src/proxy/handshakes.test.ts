import { expect, test } from "bun:test";
import { testAuthority } from "@plimsoll/testbed/authority";
import { writeProxyLine } from "@plimsoll/wire/proxy-protocol";
import { listenerPlan, routePlan, tlsPlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";
import type { ListenerPlan } from "./plan.ts";

const { cert, key } = await (await testAuthority()).issue(["a.example"]);

const tls = tlsPlan([{ cert, key, certFile: "a.crt", keyFile: "a.key", names: ["a.example"], kind: "ecdsa" }]);

const { limits } = listenerPlan();
const proxied = { trustedProxies: ["10.0.0.0/8"], proxyProtocol: "require" } as const;

function staged(most: Partial<ListenerPlan["limits"]>, over: Partial<ListenerPlan> = {}): Stage {
  return new Stage({ listeners: [listenerPlan({ tls, ...over, limits: { ...limits, ...most } })] });
}

/** How many are open, and how many were turned away. */
function counted(stage: Stage): readonly [number, number] {
  return [stage.listenerCell("open"), stage.listenerCell("refused")];
}

/** A proxy's connection whose header names `source`. */
function headed(stage: Stage, source: string) {
  const peer = stage.client("10.0.0.9");
  peer.send(writeProxyLine({ source, sourcePort: 4711, destination: "192.0.2.1", destinationPort: 443 }));
  return peer;
}

test("who shakes hands counts as open for whoever looks at memory, in every listener, also one that is left", () => {
  const stage = staged({});
  expect(stage.engine.open).toBe(0);
  const handshakes = [stage.network.greeting(), stage.network.greeting(), stage.network.greeting()];
  expect(stage.engine.open).toBe(3);
  handshakes[0]!.done();
  expect([stage.engine.open, ...counted(stage)]).toEqual([3, 1, 0]);
  handshakes[1]!.broken();
  expect(stage.engine.open).toBe(2);
  void stage.engine.stop(60_000);
  expect(stage.engine.open).toBe(2);
  handshakes[2]!.done();
  expect(stage.engine.open).toBe(2);
});

test("and for maxConnections, where a place goes over from the handshake to the session", () => {
  const stage = staged({ maxConnections: 2 });
  const [one, two] = [stage.network.greeting(), stage.network.greeting()];
  expect(stage.network.greeting()).toBeNull();
  const peer = one!.done();
  expect(stage.network.greeting()).toBeNull();
  two!.broken();
  expect(stage.network.greeting()).not.toBeNull();
  expect(stage.network.greeting()).toBeNull();
  peer.reset();
  expect(stage.network.greeting()).not.toBeNull();
  expect(stage.listenerCell("refused")).toBe(3);
  expect(stage.listenerCell("accepted")).toBe(4);
});

test("a client's connections are counted from its first handshake on, once each, and let go of once", () => {
  const stage = staged({ connectionsPerClient: 2 });
  const [one, two] = [stage.network.greeting("192.0.2.1"), stage.network.greeting("192.0.2.1")];
  expect(stage.network.greeting("192.0.2.1")).toBeNull();
  expect(counted(stage)).toEqual([0, 1]);
  // Another is another, and of IPv6 a network is one.
  expect(stage.network.greeting("192.0.2.2")).not.toBeNull();
  expect(stage.network.greeting("2001:db8::1")).not.toBeNull();
  expect(stage.network.greeting("2001:db8::2")).not.toBeNull();
  expect(stage.network.greeting("2001:db8::3")).toBeNull();
  // A session takes the place of its handshake: both fit, and no third.
  const peer = one!.done();
  two!.done();
  expect(stage.network.greeting("192.0.2.1")).toBeNull();
  expect(counted(stage)).toEqual([2, 3]);
  peer.send(get);
  stage.origin().send(answer());
  expect(peer.text).toStartWith("HTTP/1.1 200");
  peer.reset();
  const third = stage.network.greeting("192.0.2.1");
  expect(stage.network.greeting("192.0.2.1")).toBeNull();
  third!.broken();
  // Given back once: there is one place, not two.
  expect(stage.network.greeting("192.0.2.1")).not.toBeNull();
  expect(stage.network.greeting("192.0.2.1")).toBeNull();
});

test("a limit that a reload takes away leaves nothing counted behind, one that it brings counts from then on", () => {
  const stage = staged({ connectionsPerClient: 1 });
  const first = stage.network.greeting("192.0.2.1");
  expect(stage.network.greeting("192.0.2.1")).toBeNull();
  stage.run({ listeners: [listenerPlan({ tls })] });
  expect(stage.network.greeting("192.0.2.1")).not.toBeNull();
  stage.run({ listeners: [listenerPlan({ tls, limits: { ...limits, connectionsPerClient: 1 } })] });
  expect(stage.network.greeting("192.0.2.1")).toBeNull();
  first!.broken();
  expect(stage.network.greeting("192.0.2.1")).not.toBeNull();
});

test("behind a PROXY header it is the client that the header names, from the header on", () => {
  const stage = staged({ connectionsPerClient: 1 }, proxied);
  const peer = headed(stage, "203.0.113.1");
  expect(stage.network.handshakes.length).toBe(1);
  expect(headed(stage, "203.0.113.1").wasReset).toBe(true);
  expect(counted(stage)).toEqual([0, 1]);
  expect(headed(stage, "203.0.113.2").wasReset).toBe(false);
  expect(stage.network.handshakes.length).toBe(2);
  // The proxy itself is nobody's client: what it holds without a header is bounded by maxConnections.
  for (let i = 0; i < 5; i++) expect(stage.client("10.0.0.9").wasReset).toBe(false);
  expect(peer.wasReset).toBe(false);
  stage.network.handshakes[0]!.done();
  expect(headed(stage, "203.0.113.1").wasReset).toBe(true);
  // Accepted are those that connected: each once, whatever it became.
  expect(stage.listenerCell("accepted")).toBe(9);
});

test("what a trusted proxy holds without a header is bounded by maxConnections", () => {
  const stage = staged({ maxConnections: 3, connectionsPerClient: 1 }, proxied);
  const peers = Array.from({ length: 5 }, () => stage.client("10.0.0.9"));
  expect(peers.map(({ wasReset }) => wasReset)).toEqual([false, false, false, true, true]);
  stage.advance(6_000);
  expect(peers.every(({ over }) => over)).toBe(true);
  expect(stage.engine.open).toBe(0);
});

test("whoever has no header to send is known at once, and may not sit there beyond its number either", () => {
  const kinds = [proxied, { ...proxied, proxyProtocol: "accept" }, { plainRoutes: [routePlan()] }] as const;
  for (const over of kinds) {
    const stage = staged({ connectionsPerClient: 2 }, over);
    const [one, two, three] = ["192.0.2.1", "192.0.2.1", "192.0.2.1"].map((address) => stage.client(address));
    expect([one!.wasReset, two!.wasReset, three!.wasReset]).toEqual([false, false, true]);
    expect(counted(stage)).toEqual([2, 1]);
    one!.reset();
    expect(stage.client("192.0.2.1").wasReset).toBe(false);
    expect(stage.client("192.0.2.1").wasReset).toBe(true);
  }
});

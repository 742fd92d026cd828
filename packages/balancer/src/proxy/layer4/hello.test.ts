import { describe, expect, test } from "bun:test";
import { clientHello } from "../fixtures/client-hello.ts";
import { listenerPlan, poolPlan, routePlan } from "../fixtures/plans.ts";
import { Stage } from "../fixtures/stage.ts";
import type { HostMatch, ListenerPlan, RoutePlan } from "../plan.ts";

const exact = (host: string): HostMatch => ({ kind: "exact", host });

/** Routes that each lead to a pool of one endpoint: "a", "b" on ports 3000 and 3100. */
function route(pool: string, match: Partial<RoutePlan["match"]>): RoutePlan {
  return routePlan({ name: pool, match: { ...routePlan().match, ...match }, action: { kind: "pool", pool } });
}

function stage(routes: readonly RoutePlan[], listener: Partial<ListenerPlan> = {}): Stage {
  return new Stage({
    listeners: [listenerPlan({ protocol: "tls", routes, ...listener })],
    pools: [poolPlan(1, { name: "a", slot: 0 }), poolPlan(1, { name: "b", slot: 1 })],
  });
}

const alert = (description: number): string => String.fromCharCode(21, 3, 3, 0, 2, 2, description);

describe("a TLS client", () => {
  const routes = [
    route("a", { host: exact("a.example.com") }),
    route("b", { host: { kind: "suffix", host: "example.org" } }),
  ];

  test("goes where its name leads, and every byte of what was read goes with it unchanged", () => {
    for (const [name, slot] of [
      ["a.example.com", 0],
      ["A.Example.COM", 0],
      ["deep.down.example.org", 8],
    ] as const) {
      const set = stage(routes);
      const hello = clientHello(name, ["h2"]);
      const client = set.client();
      client.send(hello);
      expect(set.origin().received.equals(hello)).toBe(true);
      expect(set.endpointCell("requests", slot)).toBe(1);
      set.origin().send("server hello");
      client.send("more");
      expect(client.text).toBe("server hello");
      expect(set.origin().text.endsWith("more")).toBe(true);
    }
  });

  test("may cut its hello at every byte, and into records of any size", () => {
    const whole = clientHello("a.example.com", ["h2", "http/1.1"]).toString("latin1");
    for (let at = 1; at < whole.length; at++) {
      const set = stage(routes);
      const client = set.client();
      client.send(whole.slice(0, at));
      expect(set.connects).toBe(0);
      client.send(whole.slice(at) + "early");
      expect(set.origin().text).toBe(whole + "early");
    }
    for (const most of [7, 16, 40]) {
      const set = stage(routes);
      const hello = clientHello("a.example.com", [], most);
      set.client().send(hello);
      expect(set.origin().received.equals(hello)).toBe(true);
    }
  });

  test("that asks for an unknown name, or for none, is told so in TLS", () => {
    for (const name of ["c.example.com", "example.org", ""]) {
      const set = stage(routes);
      const client = set.client();
      client.send(clientHello(name));
      expect(set.connects).toBe(0);
      expect(client.text).toBe(alert(112));
      expect(client.ended).toBe(true);
      expect(set.faults).toEqual({ "route-not-found": 1 });
      expect(set.records[0]).toMatchObject({ host: name, protocol: "TLS", fault: "route-not-found" });
    }
  });

  test("without a name takes the route that asks for none", () => {
    const set = stage([...routes, route("b", {})]);
    set.client().send(clientHello(""));
    expect(set.endpointCell("requests", 8)).toBe(1);
  });

  test("is routed by a protocol that it offers", () => {
    const byProtocol = [route("a", { alpn: ["h2", "postgresql"] }), route("b", {})];
    for (const [offered, slot] of [
      [["http/1.1", "h2"], 0],
      [["postgresql"], 0],
      [["http/1.1"], 8],
      [[], 8],
    ] as const) {
      const set = stage(byProtocol);
      set.client().send(clientHello("x.example.com", offered));
      expect(set.endpointCell("requests", slot)).toBe(1);
    }
  });

  test("whose endpoints are out hears of an internal error, and of nothing more", () => {
    const set = stage(routes);
    set.network.welcome = () => "refused";
    const client = set.client();
    client.send(clientHello("a.example.com"));
    expect(client.text).toBe(alert(80));
    expect(set.faults).toEqual({ "connect-refused": 1 });
  });
});

describe("who is no TLS client", () => {
  const any = [route("a", {})];

  test("is reset: it would not understand an alert", () => {
    const set = stage(any);
    const client = set.asking("GET / HTTP/1.1\r\n\r\n");
    expect(client.wasReset).toBe(true);
    expect(client.text).toBe("");
    expect(set.connects).toBe(0);
    expect(set.faults).toEqual({ "client-hello-malformed": 1 });
  });

  test("began as one and went wrong: it is told", () => {
    const set = stage(any);
    const hello = clientHello("a.example.com");
    hello[5] = 2;
    const client = set.client();
    client.send(hello);
    expect(client.text).toBe(alert(50));
    expect(set.faults).toEqual({ "client-hello-malformed": 1 });
  });

  test("announces more than the limit: nothing is kept for it", () => {
    const set = stage(any);
    const client = set.client();
    client.send(Buffer.from([22, 3, 1, 64, 0, 1, 1, 0, 0]));
    expect(set.faults).toEqual({ "client-hello-malformed": 1 });
    expect(set.listenerCell("open")).toBe(0);
  });

  test("takes too long, by however small steps", () => {
    const set = stage(any);
    const client = set.client();
    const hello = clientHello("a.example.com").toString("latin1");
    for (let at = 0; at < 11; at++) {
      client.send(hello.slice(at, at + 1));
      set.advance(1_000);
    }
    expect(client.wasReset).toBe(true);
    expect(set.faults).toEqual({ "client-hello-timeout": 1 });
    expect(set.records[0]).toMatchObject({ fault: "client-hello-timeout", rung: "client-head", pool: "" });
  });

  test("only looks whether somebody listens: that is no fault; one that leaves within its hello is gone", () => {
    const set = stage(any);
    const looks = set.client();
    looks.end();
    expect(looks.ended).toBe(true);
    expect(set.faults).toEqual({});
    const leaves = set.client();
    leaves.send(clientHello("a.example.com").subarray(0, 20));
    leaves.end();
    expect(set.faults).toEqual({ "client-gone": 1 });
    expect(set.listenerCell("open")).toBe(0);
  });
});

import { describe, expect, test } from "bun:test";
import { parseProxyHeader, ProxyHeader, writeProxyHeader } from "@plimsoll/wire/proxy-protocol";
import type { PoolPlan } from "../pool/plan.ts";
import type { MemoryConnection, Peer } from "./fixtures/network.ts";
import { listenerPlan, onPath, poolPlan, routePlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";
import type { ListenerPlan } from "./plan.ts";
import { proxyHeaderFor } from "./preface.ts";

function staged(pool: Partial<PoolPlan>, listener: Partial<ListenerPlan> = {}, endpoints = 1): Stage {
  return new Stage({ listeners: [listenerPlan(listener)], pools: [poolPlan(endpoints, pool)] });
}

/** The header that a connection to an endpoint began with, and what followed it. */
function begun(peer: Peer): { readonly header: ProxyHeader; readonly rest: string } {
  const header = new ProxyHeader();
  const { received } = peer;
  const position = parseProxyHeader(received, 0, received.length, header);
  expect(position).toBeGreaterThan(0);
  return { header, rest: received.subarray(position).toString("latin1") };
}

/** One exchange of `client` with the endpoint that was connected to as number `index`. */
function exchange(stage: Stage, client: Peer, index: number): void {
  client.news();
  client.send(get);
  stage.network.origin(index).send(answer());
  expect(client.text).toStartWith("HTTP/1.1 200");
}

describe("the first bytes to an endpoint say who the client is", () => {
  test("in version 1, letter for letter, before the request", () => {
    const stage = staged({ proxyProtocol: "v1" });
    stage.network.client("203.0.113.5").send(get);
    expect(stage.network.origin().text).toStartWith(
      "PROXY TCP4 203.0.113.5 127.0.0.1 40000 8080\r\nGET / HTTP/1.1\r\n",
    );
  });

  test("in version 2, with an id of its own", () => {
    const stage = staged({ proxyProtocol: "v2" });
    const ids = ["203.0.113.5", "2001:db8::7"].map((address, index) => {
      stage.network.client(address).send(get);
      const { header, rest } = begun(stage.network.origin(index));
      expect(header).toMatchObject({
        version: 2,
        local: false,
        source: address,
        sourcePort: 40_000,
        destinationPort: 8080,
      });
      expect(rest).toStartWith("GET / HTTP/1.1\r\n");
      return Buffer.from(header.uniqueId ?? []).toString("latin1");
    });
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
  });

  test("and what a proxy in front said of it is passed on", () => {
    const stage = staged({ proxyProtocol: "v2" }, { trustedProxies: ["10.0.0.0/8"], proxyProtocol: "require" });
    const tls = {
      spoken: true,
      certificate: true,
      verified: true,
      version: "TLSv1.3",
      cipher: "TLS_AES_128_GCM_SHA256",
      commonName: "jane",
      signatureAlgorithm: "",
      keyAlgorithm: "",
    };
    const addresses = { source: "203.0.113.5", sourcePort: 4711, destination: "198.51.100.1", destinationPort: 443 };
    const facts = { alpn: "http/1.1", authority: "shop.example", uniqueId: Uint8Array.of(1, 2), tls };
    const peer = stage.network.client("10.0.0.1");
    peer.send(writeProxyHeader(addresses, facts));
    peer.send(get);
    expect(begun(stage.network.origin()).header).toMatchObject({ ...addresses, ...facts });
  });

  test("or what our own side of its TLS found, which goes first", () => {
    const tls = { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", alpn: "http/1.1", serverName: "shop.example" };
    const stage = staged({ proxyProtocol: "v2" });
    stage.network.client("203.0.113.5");
    const client = stage.network.accepted[0] as MemoryConnection;
    client.tls = { ...tls, resumed: false, peer: null };
    const header = new ProxyHeader();
    const bytes = proxyHeaderFor(client);
    expect(parseProxyHeader(bytes, 0, bytes.length, header)).toBe(bytes.length);
    expect(header).toMatchObject({
      alpn: "http/1.1",
      authority: "shop.example",
      tls: { spoken: true, certificate: false, verified: false, version: tls.version, cipher: tls.cipher },
    });
  });

  test("a name in a client's certificate is the same name at the endpoint", () => {
    const stage = staged({ proxyProtocol: "v2" });
    stage.network.client("203.0.113.5");
    const client = stage.network.accepted[0] as MemoryConnection;
    for (const [subject, name] of [
      ["CN=jane", "jane"],
      // Not "admin", which its lowest bytes would say.
      ["O=x\nCN=\u0161dmin", "\u0161dmin"],
      ["CN=Doe\\, John", "Doe, John"],
    ] as const) {
      client.tls = {
        version: "TLSv1.3",
        cipher: "x",
        alpn: "",
        serverName: "",
        resumed: false,
        peer: { subject } as never,
      };
      const bytes = proxyHeaderFor(client);
      const header = new ProxyHeader();
      expect(parseProxyHeader(bytes, 0, bytes.length, header)).toBe(bytes.length);
      expect(Buffer.from(header.tls?.commonName ?? "", "latin1").toString("utf8")).toBe(name);
    }
  });

  test("nothing where it is off", () => {
    const stage = staged({});
    stage.network.client().send(get);
    expect(stage.network.origin().text).toStartWith("GET / HTTP/1.1\r\n");
  });
});

describe("a connection belongs to its client", () => {
  test("who uses it again, and nobody else does", () => {
    const stage = staged({ proxyProtocol: "v1" });
    const [one, two] = [stage.network.client("203.0.113.1"), stage.network.client("203.0.113.2")];
    exchange(stage, one, 0);
    exchange(stage, two, 1);
    exchange(stage, one, 0);
    exchange(stage, two, 1);
    expect(stage.network.connects.length).toBe(2);
    const headers = stage.network.connects.map(({ peer }) => peer.text.split("PROXY TCP4 203.0.113.").length - 1);
    expect(headers).toEqual([1, 1]);
  });

  test("and ends with it", () => {
    const stage = staged({ proxyProtocol: "v2" });
    const client = stage.network.client();
    exchange(stage, client, 0);
    expect(stage.network.origin().closed).toBe(false);
    client.end();
    expect(stage.network.origin().closed).toBe(true);
  });

  test("or with its rest, its endpoint's word, or the end that its endpoint makes", () => {
    const stage = staged({ proxyProtocol: "v2" });
    const client = stage.network.client();
    exchange(stage, client, 0);
    stage.advance(4_500);
    exchange(stage, client, 1);
    stage.network.origin(1).end();
    exchange(stage, client, 2);
    expect(stage.network.connects.length).toBe(3);
  });

  test("also when its answer ends after its client", () => {
    const stage = staged({ proxyProtocol: "v2" }, { routes: [routePlan({ cancel: false })] });
    const client = stage.network.client();
    client.send(get);
    client.reset();
    stage.network.origin().send(answer());
    expect(stage.network.origin().closed).toBe(true);
  });

  test("a retry says it, too", () => {
    const stage = staged({ proxyProtocol: "v1" }, {}, 2);
    const client = stage.network.client("203.0.113.9");
    client.send(get);
    stage.network.origin(0).end();
    expect(stage.network.connects.length).toBe(2);
    expect(stage.network.origin(1).text).toStartWith("PROXY TCP4 203.0.113.9 ");
    stage.network.origin(1).send(answer());
    expect(client.text).toStartWith("HTTP/1.1 200");
  });

  test("a mirror's copy says it, on a connection of its own", () => {
    const stage = new Stage({
      listeners: [listenerPlan({ routes: [routePlan({ match: onPath("/"), mirror: "shadow" })] })],
      pools: [poolPlan(1), poolPlan(1, { slot: 1, name: "shadow", proxyProtocol: "v1" })],
    });
    stage.network.client("203.0.113.9").send(get);
    const texts = stage.network.connects.map(({ peer }) => peer.text.slice(0, 5)).sort();
    expect(texts).toEqual(["GET /", "PROXY"]);
  });

  test("what is left from before a reload is not taken for something else", () => {
    for (const [before, after] of [
      ["v1", "off"],
      ["off", "v1"],
      ["v1", "v2"],
    ] as const) {
      const stage = staged({ proxyProtocol: before });
      const client = stage.network.client();
      exchange(stage, client, 0);
      stage.run({ pools: [poolPlan(1, { proxyProtocol: after })] });
      exchange(stage, client, 1);
      const start = stage.network.origin(1).received.subarray(0, 4).toString("latin1");
      expect(start).toBe(after === "off" ? "GET " : after === "v1" ? "PROX" : "\r\n\r\n");
    }
  });
});

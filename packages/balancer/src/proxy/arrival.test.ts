import { describe, expect, test } from "bun:test";
import { writeProxyHeader, writeProxyLine, writeProxyLocal } from "@plimsoll/wire/proxy-protocol";
import type { Connection } from "../net/transport.ts";
import { ListenerCell } from "../observe/table.ts";
import { arrives } from "./arrival.ts";
import type { Peer } from "./fixtures/network.ts";
import { listenerPlan, routePlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";
import type { ListenerState } from "./listener-state.ts";
import type { ListenerPlan } from "./plan.ts";

const proxy = "10.0.0.9";
const client = { source: "203.0.113.5", sourcePort: 4711, destination: "198.51.100.1", destinationPort: 443 };
const line = Buffer.from(writeProxyLine(client)).toString("latin1");
const binary = Buffer.from(writeProxyHeader(client, { checksum: true })).toString("latin1");
const trusting = { trustedProxies: ["10.0.0.0/8"], proxyProtocol: "require" } as const;

function staged(over: Partial<ListenerPlan> = {}): Stage {
  return new Stage({ listeners: [listenerPlan({ ...trusting, ...over })] });
}

/** What the endpoint is told, once `peer` has its answer. */
function served(stage: Stage, peer: Peer): string {
  const origin = stage.network.origin();
  const { text } = origin;
  origin.send(answer());
  expect(peer.text).toStartWith("HTTP/1.1 200");
  return text;
}

function cell(stage: Stage, index: number): number {
  return stage.table.cells[stage.table.listener(0, 0) + index]!;
}

describe("a header names the client", () => {
  test("everywhere: to the endpoint, to routes, in the log", () => {
    for (const header of [line, binary]) {
      const stage = staged({
        routes: [routePlan({ name: "theirs", match: { ...routePlan().match, sources: ["203.0.113.0/24"] } })],
      });
      const peer = stage.network.client(proxy);
      peer.send(header + get);
      const text = served(stage, peer);
      expect(text).toContain("X-Forwarded-For: 203.0.113.5\r\n");
      expect(text).toContain("X-Forwarded-Port: 443\r\n");
      expect(text).toContain("X-Forwarded-Proto: http\r\n");
      expect(stage.records).toMatchObject([{ client: "203.0.113.5", route: "theirs", status: 200 }]);
    }
  });

  test("and whether it spoke TLS to the proxy", () => {
    const stage = staged();
    const tls = { spoken: true, certificate: false, verified: false, version: "TLSv1.3", cipher: "" };
    const header = writeProxyHeader(client, {
      tls: { ...tls, commonName: "", signatureAlgorithm: "", keyAlgorithm: "" },
    });
    const peer = stage.network.client(proxy);
    peer.send(header);
    peer.send(get);
    expect(served(stage, peer)).toContain("X-Forwarded-Proto: https\r\n");
  });

  test("who is no trusted proxy itself: what it says of others is dropped", () => {
    const stage = staged();
    const peer = stage.network.client(proxy);
    peer.send(`${line}GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.99\r\n\r\n`);
    expect(served(stage, peer)).toContain("X-Forwarded-For: 203.0.113.5\r\n");
  });

  test("who may be a trusted proxy of HTTP", () => {
    const stage = staged();
    const peer = stage.network.client(proxy);
    const inner = Buffer.from(writeProxyLine({ ...client, source: "10.9.9.9" })).toString("latin1");
    peer.send(`${inner}GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.99\r\n\r\n`);
    expect(served(stage, peer)).toContain("X-Forwarded-For: 192.0.2.99, 10.9.9.9\r\n");
    expect(stage.records).toMatchObject([{ client: "192.0.2.99" }]);
  });

  test("for all requests of its connection, however it is cut", () => {
    const bytes = binary + get;
    for (let cut = 1; cut < bytes.length; cut++) {
      const stage = staged();
      const peer = stage.network.client(proxy);
      peer.sendCut(bytes, [cut]);
      served(stage, peer);
      peer.send(get);
      const origin = stage.network.origin();
      origin.news();
      origin.send(answer());
      expect(stage.records.map((record) => record.client)).toEqual(["203.0.113.5", "203.0.113.5"]);
    }
  });
});

test("LOCAL, UNKNOWN and UNSPEC are the proxy's own: a health check is answered, and its address is the proxy's", () => {
  const own = [Buffer.from(writeProxyLocal()).toString("latin1"), "PROXY UNKNOWN\r\n"];
  own.push(Buffer.from(writeProxyHeader({ ...client, source: "" })).toString("latin1"));
  for (const header of own) {
    const stage = staged();
    const peer = stage.network.client(proxy);
    peer.send(header + get);
    expect(served(stage, peer)).toContain(`X-Forwarded-For: ${proxy}\r\n`);
  }
});

describe("what is refused where it is required", () => {
  function refused(stage: Stage, peer: Peer, code: string, status = 400): void {
    expect(peer.text).toStartWith(`HTTP/1.1 ${status} `);
    expect(peer.text).toContain(`plimsoll; error=http_request_error; details="${code}`);
    expect(peer.closed).toBe(true);
    expect(stage.records).toMatchObject([{ fault: code, status }]);
    expect(stage.network.connects).toEqual([]);
    expect([cell(stage, ListenerCell.open), stage.engine.open]).toEqual([0, 0]);
  }

  test("bytes that are no header", () => {
    const stage = staged();
    const peer = stage.network.client(proxy);
    peer.send(get);
    refused(stage, peer, "proxy-header-missing");
  });

  test("a header that is malformed, or ends too early", () => {
    const stage = staged();
    const peer = stage.network.client(proxy);
    peer.send("PROXY TCP4 1.2.3.4\r\n");
    refused(stage, peer, "proxy-header-malformed");
    const early = staged();
    const second = early.network.client(proxy);
    second.send(binary.slice(0, 20));
    second.end();
    refused(early, second, "proxy-header-malformed");
  });

  test("a header of somebody who is not trusted", () => {
    const stage = staged();
    const peer = stage.network.client("192.0.2.7");
    peer.send(line + get);
    refused(stage, peer, "proxy-header-untrusted");
    const silent = staged();
    const quiet = silent.network.client("192.0.2.7");
    silent.advance(5_200);
    refused(silent, quiet, "proxy-header-untrusted");
  });

  test("a header that takes too long, be it byte by byte", () => {
    const stage = staged();
    const peer = stage.network.client(proxy);
    for (const byte of line.slice(0, 12)) {
      peer.send(byte);
      stage.advance(400);
    }
    stage.advance(400);
    stage.advance(400);
    refused(stage, peer, "proxy-header-timeout", 408);
  });

  test("a header that is larger than any", () => {
    const stage = staged();
    const peer = stage.network.client(proxy);
    const large = Buffer.from(writeProxyHeader(client));
    large.writeUInt16BE(65_535, 14);
    peer.send(large);
    refused(stage, peer, "proxy-header-malformed");
  });
});

describe("where it is accepted", () => {
  test("trusted proxies may send one, or none", () => {
    for (const [sent, address] of [
      [line + get, "203.0.113.5"],
      [get, proxy],
    ] as const) {
      for (let cut = 1; cut < sent.length; cut++) {
        const stage = staged({ proxyProtocol: "accept" });
        const peer = stage.network.client(proxy);
        peer.sendCut(sent, [cut]);
        expect(served(stage, peer)).toContain(`X-Forwarded-For: ${address}\r\n`);
      }
    }
  });

  test("a header that began and is wrong is not taken for something else", () => {
    const stage = staged({ proxyProtocol: "accept" });
    const peer = stage.network.client(proxy);
    peer.send("PROXY TCP4 nonsense\r\n");
    expect(stage.records).toMatchObject([{ fault: "proxy-header-malformed" }]);
  });

  test("nobody else is asked: a header of theirs is the begin of their request", () => {
    const stage = staged({ proxyProtocol: "accept" });
    const peer = stage.network.client("192.0.2.7");
    peer.send(line + get);
    expect(peer.text).toStartWith("HTTP/1.1 400 ");
    expect(stage.records).toMatchObject([{ fault: "request-malformed", client: "192.0.2.7" }]);
  });

  test("silence is waited for no longer than a header would be, and then the session's own times hold", () => {
    const stage = staged({ proxyProtocol: "accept" });
    const peer = stage.network.client(proxy);
    stage.advance(5_200);
    expect(peer.text).toBe("");
    peer.send(get);
    expect(served(stage, peer)).toContain(`X-Forwarded-For: ${proxy}\r\n`);
  });

  test("half a header and an end are the client's bytes", () => {
    const stage = staged({ proxyProtocol: "accept" });
    const peer = stage.network.client(proxy);
    peer.send("PROX");
    peer.end();
    expect([stage.engine.open, cell(stage, ListenerCell.open)]).toEqual([0, 0]);
  });
});

test("off: a header is the begin of a request, whoever sends it", () => {
  const stage = staged({ proxyProtocol: "off" });
  const peer = stage.network.client(proxy);
  peer.send(line + get);
  expect(stage.records).toMatchObject([{ fault: "request-malformed" }]);
});

test("a proxy that only looks whether somebody listens leaves no trace", () => {
  const stage = staged();
  const peer = stage.network.client(proxy);
  peer.end();
  const second = stage.network.client(proxy);
  second.reset();
  expect([peer.closed, peer.text, second.text, stage.records.length]).toEqual([true, "", "", 0]);
  expect([stage.engine.open, cell(stage, ListenerCell.open), cell(stage, ListenerCell.accepted)]).toEqual([0, 0, 2]);
});

test("a listener that leaves waits for who has begun, as long for who has not, and cuts at the end", async () => {
  const stage = staged();
  const [begun, late, silent] = [proxy, proxy, proxy].map((from) => stage.network.client(from));
  begun!.send(line.slice(0, 10));
  const over = stage.engine.stop(30_000);
  stage.advance(3_000);
  expect([silent!.closed, late!.closed, begun!.closed]).toEqual([false, false, false]);
  begun!.send(line.slice(10) + get);
  served(stage, begun!);
  late!.send(line);
  stage.advance(1_500);
  late!.send(get);
  served(stage, late!);
  expect([begun!.closed, late!.closed, silent!.closed]).toEqual([true, true, false]);
  stage.advance(600);
  expect([silent!.closed, silent!.text, stage.engine.open]).toEqual([true, "", 0]);
  stage.advance(50);
  await over;

  const second = staged();
  const stuck = second.network.client(proxy);
  stuck.send("PROXY ");
  const cut = second.engine.stop(500);
  second.advance(600);
  second.advance(50);
  expect([stuck.wasReset, second.engine.open, cell(second, ListenerCell.open)]).toEqual([true, 0, 0]);
  await cut;
});

test("who shook hands before a reload that asks for headers has none to send any more", () => {
  const plan = listenerPlan({ proxyProtocol: "require" });
  const state = { current: { plan, plain: null, proofs: null, tls: null, trusted: null } } as unknown as ListenerState;
  const connection = { tls: null, remoteAddress: "192.0.2.7" } as Connection;
  expect(arrives(state, connection)).toBe(true);
  expect(arrives(state, { ...connection, tls: { version: "TLSv1.3" } } as Connection)).toBe(false);
});

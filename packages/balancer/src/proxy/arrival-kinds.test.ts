import { describe, expect, test } from "bun:test";
import { writeProxyLine } from "@plimsoll/wire/proxy-protocol";
import { testAuthority } from "@plimsoll/testbed/authority";
import { clientHello } from "./fixtures/client-hello.ts";
import type { Peer } from "./fixtures/network.ts";
import { listenerPlan, routePlan, tlsPlan } from "./fixtures/plans.ts";
import { answer, get, Stage } from "./fixtures/stage.ts";
import type { ListenerPlan, ListenerTlsPlan, RoutePlan } from "./plan.ts";

const proxy = "10.0.0.9";
const trusting = { trustedProxies: ["10.0.0.0/8"], proxyProtocol: "accept" } as const;
const line = Buffer.from(
  writeProxyLine({ source: "203.0.113.5", sourcePort: 4711, destination: "198.51.100.1", destinationPort: 443 }),
).toString("latin1");
/** As far as it matters here: it begins as a handshake does. */
const hello = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03";

const made = await (await testAuthority()).issue(["shop.example"]);
const tls = tlsPlan([{ ...made, certFile: "a.crt", keyFile: "a.key", names: ["shop.example"], kind: "ecdsa" }]);

const redirect = routePlan({
  name: "web.plainHttp",
  action: { kind: "redirect", to: "https://{authority}{path}", status: 308 },
});

/** A port for both. Its TLS half ends in `hello`, since there is no TLS in memory. */
function both(plainRoutes: readonly RoutePlan[] = [routePlan()], over: Partial<ListenerPlan> = {}): Stage {
  return new Stage({ listeners: [listenerPlan({ tls, plainRoutes, ...over })] });
}

function served(stage: Stage, peer: Peer): string {
  const origin = stage.network.origin();
  origin.send(answer());
  expect(peer.text).toStartWith("HTTP/1.1 200");
  return origin.text;
}

/** Every piece by itself. */
const bytewise = (text: string): number[] => Array.from({ length: text.length - 1 }, (_, i) => i + 1);

describe("one port for TLS and plain HTTP", () => {
  test("a request is served wherever it is cut, and the endpoint is told that it came without TLS", () => {
    for (const cuts of [[], ...bytewise(get).map((cut) => [cut]), bytewise(get)]) {
      const stage = both();
      const peer = stage.network.client();
      peer.sendCut(get, cuts);
      expect(served(stage, peer)).toContain("X-Forwarded-Proto: http\r\n");
      expect(peer.hello).toBeNull();
    }
  });

  test("a handshake is left to TLS with the first byte, and nothing of it is lost", () => {
    const stage = both();
    const peer = stage.network.client();
    peer.send(hello);
    expect([peer.hello?.toString("latin1"), peer.text]).toEqual([hello, ""]);
    const bit = stage.network.client();
    bit.send("\x16");
    expect(bit.hello?.toString("latin1")).toBe("\x16");
    // That is for TLS to refuse.
    const rubbish = stage.network.client();
    rubbish.send("\x16GET / HTTP/1.1\r\n\r\n");
    expect(rubbish.hello?.length).toBe(19);
    expect([stage.connects, stage.records.length]).toEqual([0, 0]);
  });

  test("a PROXY header stands in front of either, in three pieces or byte by byte", () => {
    for (const cuts of [[5, 20], bytewise(line + get)]) {
      const stage = both([routePlan()], trusting);
      const plainly = stage.network.client(proxy);
      plainly.sendCut(line + get, cuts);
      const told = served(stage, plainly);
      expect(told).toContain("X-Forwarded-For: 203.0.113.5\r\n");
      expect(told).toContain("X-Forwarded-Proto: http\r\n");
      const encrypted = stage.network.client(proxy);
      encrypted.sendCut(
        line + hello,
        cuts.filter((cut) => cut <= line.length),
      );
      expect(encrypted.hello?.toString("latin1")).toBe(hello);
      // The header may come alone, and what it is for later.
      const alone = stage.network.client(proxy);
      alone.send(line);
      expect([alone.hello, alone.text]).toEqual([null, ""]);
      alone.send("\x16");
      expect(alone.hello?.toString("latin1")).toBe("\x16");
    }
  });

  test("who sends no header, though it may, is told apart all the same", () => {
    const stage = both([routePlan()], trusting);
    const peer = stage.network.client(proxy);
    peer.sendCut(get, [1, 3]);
    expect(served(stage, peer)).toContain(`X-Forwarded-For: ${proxy}\r\n`);
    const encrypted = stage.network.client(proxy);
    encrypted.send(hello);
    expect(encrypted.hello?.length).toBe(hello.length);
    const stranger = stage.network.client("192.0.2.7");
    stranger.send(line + get);
    expect(stranger.text).toStartWith("HTTP/1.1 400 ");
  });

  test("what is neither is HTTP's to refuse: an empty line first, HTTP/2's preface, zeros, an older hello", () => {
    for (const [bytes, status] of [
      ["\r\n" + get, 200],
      ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
      ["\0\0\0\0\r\n\r\n", 400],
      ["\x80\x2e\x01\x03\x01\0\r\n\r\n", 400],
      ["\n\n" + get, 400],
    ] as const) {
      const stage = both();
      const peer = stage.network.client();
      peer.send(bytes);
      if (status === 200) served(stage, peer);
      expect([bytes, peer.text.slice(0, 12), peer.hello]).toEqual([bytes, `HTTP/1.1 ${status}`, null]);
    }
  });

  test("silence is cut when a handshake would be, and counted as one that took too long", () => {
    const stage = both();
    const peer = stage.network.client();
    stage.advance(9_900);
    expect([peer.over, stage.engine.open]).toEqual([false, 1]);
    stage.advance(200);
    expect([peer.wasReset, peer.text, stage.engine.open]).toEqual([true, "", 0]);
    expect(stage.listenerCell("open")).toBe(0);
    expect(stage.handshakeFailures).toMatchObject([{ reason: "timeout", remoteAddress: "192.0.2.7" }]);
    // Behind a header that was awaited no longer, too.
    const second = both([routePlan()], trusting);
    const proxied = second.network.client(proxy);
    second.advance(5_200);
    expect(proxied.over).toBe(false);
    second.advance(10_100);
    expect([proxied.wasReset, second.engine.open]).toEqual([true, 0]);
  });

  test("who says nothing and ends, or half a request and ends, leaves nothing behind", () => {
    const stage = both();
    const [silent, half] = [stage.network.client(), stage.network.client()];
    silent.end();
    half.send("GE");
    half.end();
    expect([silent.closed, silent.text, half.closed]).toEqual([true, "", true]);
    expect([stage.engine.open, stage.listenerCell("open"), stage.handshakeFailures]).toEqual([0, 0, []]);
  });

  test("on a listener that leaves, who has not said what it is keeps its time for that; where memory is needed, a moment", async () => {
    const stage = both();
    const [silent, late] = [stage.network.client(), stage.network.client()];
    const over = stage.engine.stop(30_000);
    stage.advance(3_000);
    late.send(get);
    served(stage, late);
    expect([late.closed, silent.closed]).toEqual([true, false]);
    stage.advance(7_100);
    expect([silent.closed, silent.text, stage.engine.open]).toEqual([true, "", 0]);
    await over;

    const full = both([routePlan()], trusting);
    const [quiet, headed] = [full.network.client(), full.network.client(proxy)];
    full.engine.shed();
    headed.send(line);
    full.advance(1_100);
    expect([quiet.closed, headed.closed, full.engine.open]).toEqual([true, true, 0]);
  });
});

describe("what plain clients are led by", () => {
  const ask = (lines = "Host: shop.example:8443") => `GET /a?b=c HTTP/1.1\r\n${lines}\r\n\r\n`;

  test("a redirect to https, with the port that they wrote", () => {
    for (const [host, to] of [
      ["shop.example:8443", "https://shop.example:8443/a?b=c"],
      ["shop.example", "https://shop.example/a?b=c"],
      ["[2001:db8::1]:8443", "https://[2001:db8::1]:8443/a?b=c"],
    ] as const) {
      const stage = both([redirect]);
      const peer = stage.network.client();
      peer.send(ask(`Host: ${host}`));
      expect(peer.text).toStartWith("HTTP/1.1 308 Permanent Redirect\r\n");
      expect(peer.text).toContain(`\r\nLocation: ${to}\r\n`);
      expect(stage.records).toMatchObject([{ status: 308, route: "web.plainHttp" }]);
      expect(stage.connects).toBe(0);
    }
  });

  test("nobody whose TLS a trusted proxy has ended is sent in circles", () => {
    const stage = both([redirect], { trustedProxies: ["10.0.0.0/8"] });
    const peer = stage.network.client(proxy);
    peer.send(ask("Host: a\r\nX-Forwarded-Proto: https"));
    served(stage, peer);
    const untrusted = stage.network.client("192.0.2.7");
    untrusted.send(ask("Host: a\r\nX-Forwarded-Proto: https"));
    expect(untrusted.text).toStartWith("HTTP/1.1 308 ");
  });

  test("readyPath and what an authority looks for are answered there, before the redirect", () => {
    const stage = new Stage({
      listeners: [listenerPlan({ tls, plainRoutes: [redirect], readyPath: "/ready" })],
      challenges: [["token", "token.thumb"]],
    });
    for (const [path, body] of [
      ["/ready", "ready\n"],
      ["/.well-known/acme-challenge/token", "token.thumb"],
    ] as const) {
      const peer = stage.network.client();
      peer.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(peer.text).toStartWith("HTTP/1.1 200 OK\r\n");
      expect(peer.text).toEndWith(body);
    }
  });

  test("the same routes without what is only said within TLS", () => {
    const hsts = { set: [["strict-transport-security", "max-age=1"] as const], add: [], remove: [] };
    const stage = both([routePlan({ name: "plain" })], { routes: [routePlan({ answerHeaders: hsts })] });
    const peer = stage.network.client();
    peer.send(get);
    served(stage, peer);
    expect(peer.text.toLowerCase()).not.toContain("strict-transport-security");
    expect(stage.records).toMatchObject([{ route: "plain" }]);
  });
});

describe("TLS that is passed on", () => {
  const passing = (over: Partial<ListenerPlan> = {}) =>
    new Stage({ listeners: [listenerPlan({ protocol: "tls", plainRoutes: [redirect], ...over })] });
  /** A ClientHello of TLS 1.2 form without extensions. */
  const body = `\x03\x03${"r".repeat(32)}\0\0\x02\x13\x01\x01\0`;
  const whole = `\x16\x03\x01\0${String.fromCharCode(body.length + 4)}\x01\0\0${String.fromCharCode(body.length)}${body}`;

  test("goes where it is routed, wherever it is cut; plain HTTP is sent to https", () => {
    for (const cuts of [[], ...bytewise(whole).map((cut) => [cut]), bytewise(whole)]) {
      const stage = passing();
      const peer = stage.network.client();
      peer.sendCut(whole, cuts);
      expect(stage.network.origin().text).toBe(whole);
    }
    const stage = passing();
    const peer = stage.network.client();
    peer.sendCut(get, bytewise(get));
    expect(peer.text).toStartWith("HTTP/1.1 308 ");
    expect(peer.text).toContain("\r\nLocation: https://a/\r\n");
  });

  test("a PROXY header stands in front of either", () => {
    const stage = passing(trusting);
    const encrypted = stage.network.client(proxy);
    encrypted.sendCut(line + whole, [4, line.length - 1, line.length + 3]);
    expect(stage.network.origin().text).toBe(whole);
    const peer = stage.network.client(proxy);
    peer.sendCut(line + get, [4, line.length - 1, line.length + 3]);
    expect(peer.text).toStartWith("HTTP/1.1 308 ");
    expect(stage.records.at(-1)).toMatchObject({ client: "203.0.113.5", status: 308 });
  });

  test("silence is cut as without the redirect", () => {
    const stage = passing();
    const peer = stage.network.client();
    stage.advance(10_100);
    expect([peer.wasReset, stage.engine.open, stage.listenerCell("open")]).toEqual([true, 0, 0]);
    expect(stage.faults).toEqual({ "client-hello-timeout": 1 });
  });
});

test("where clients must show a certificate, no trusted proxy gets around that by saying that it ended TLS", () => {
  const secure = get.replace("\r\n\r\n", "\r\nX-Forwarded-Proto: https\r\n\r\n");
  const trusted = { trustedProxies: ["10.0.0.0/8"] };
  const required: ListenerTlsPlan = { ...tls, clientCertificates: "required", ca: { file: "ca.pem", pem: made.cert } };
  const stage = both([redirect], { ...trusted, tls: required });
  const peer = stage.network.client(proxy);
  peer.send(secure);
  expect([peer.text.slice(0, 13), stage.connects]).toEqual(["HTTP/1.1 308 ", 0]);
  // Where they need not, it is not sent in circles.
  const open = both([redirect], trusted);
  const other = open.network.client(proxy);
  other.send(secure);
  expect(served(open, other)).toContain("X-Forwarded-Proto: https\r\n");
});

describe("while an authority looks by TLS whether a name is ours", () => {
  const proof = { name: "shop.example", cert: made.cert, key: made.key };
  const looked = (over: Partial<ListenerPlan> = {}) =>
    new Stage({ listeners: [listenerPlan({ tls, ...over })], proofs: [proof] });
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
  const question = text(clientHello("shop.example", ["acme-tls/1"]));

  test("its hello is known wherever it is cut, by segments and by records, and behind a PROXY header", () => {
    for (const [bytes, cuts] of [
      [question, []],
      [question, bytewise(question)],
      ...bytewise(question).map((cut) => [question, [cut]] as const),
      [text(clientHello("Shop.Example", ["acme-tls/1"], 20)), [7, 90]],
      [line + question, bytewise(line + question)],
    ] as const) {
      const stage = looked(trusting);
      const peer = stage.network.client(proxy);
      peer.sendCut(bytes, cuts);
      expect(peer.handshake).toMatchObject({ alpn: ["acme-tls/1"], clientCertificates: "off" });
      expect(bytes).toEndWith(peer.hello?.toString("latin1") ?? "nothing");
      expect(peer.handshake?.choose("shop.example")).toBe(peer.handshake?.context ?? null);
    }
  });

  test("everybody else shakes hands as ever, with every byte that was read", () => {
    for (const bytes of [
      text(clientHello("shop.example", ["http/1.1"])),
      text(clientHello("shop.example")),
      // RFC 8737 §3: that protocol alone.
      text(clientHello("shop.example", ["acme-tls/1", "http/1.1"])),
      text(clientHello("other.example", ["acme-tls/1"])),
      text(clientHello("", ["acme-tls/1"])),
      "\x16\x03\x01\x00\x05rubbish",
      get,
    ]) {
      for (const cuts of [[], bytewise(bytes)]) {
        const stage = looked();
        const peer = stage.network.client();
        peer.sendCut(bytes, cuts);
        expect([bytes, peer.handshake?.alpn]).toEqual([bytes, ["http/1.1", "http/1.0"]]);
        expect(bytes).toStartWith(peer.hello?.toString("latin1") ?? "nothing");
      }
    }
  });

  test("plain HTTP is told apart before", () => {
    const stage = looked({ plainRoutes: [redirect] });
    const peer = stage.network.client();
    peer.send(get);
    expect(peer.text).toStartWith("HTTP/1.1 308 ");
    const authority = stage.network.client();
    authority.sendCut(question, [1, 9]);
    expect(authority.handshake?.alpn).toEqual(["acme-tls/1"]);
  });

  test("half a hello is waited for as long as a handshake, and one that ends there is over", () => {
    const stage = looked();
    const [slow, gone, silent] = [stage.network.client(), stage.network.client(), stage.network.client()];
    slow.send(question.slice(0, 40));
    gone.send(question.slice(0, 40));
    gone.end();
    silent.end();
    stage.advance(10_100);
    expect([slow.wasReset, gone.wasReset, silent.closed, stage.engine.open]).toEqual([true, true, true, 0]);
    expect(stage.handshakeFailures.map(({ reason }) => reason)).toEqual(["gone", "timeout"]);
    expect(stage.listenerCell("open")).toBe(0);
  });

  test("nothing is read ahead on listeners without TLS", () => {
    const stage = looked({ tls: null });
    const peer = stage.network.client();
    peer.send(get);
    served(stage, peer);
  });
});

// Probes against real sockets on loopback; what an endpoint does is written out byte by byte.
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { readStrictRequests } from "@plimsoll/wire/http1/strict-reader";
import { createBunTransport } from "../../net/bun-transport.ts";
import { systemClock, systemTimers } from "../../net/clock.ts";
import { runCommand } from "../../net/run-command.ts";
import { shakeHands } from "../../net/tls-handshake.ts";
import type { Address, Connection, ConnectionHandler, Listener } from "../../net/transport.ts";
import { readiness } from "../fixtures.ts";
import type { ReadinessPlan } from "../plan.ts";
import { requestOf } from "./http.ts";
import type { Seen } from "./probe.ts";
import { makeProbes } from "./table.ts";

const transport = createBunTransport();
const probes = makeProbes({ transport, clock: systemClock, timers: systemTimers, shakeHands, runCommand });
const plan: ReadinessPlan = { ...readiness, timeout: 5_000 };
const brief: ReadinessPlan = { ...readiness, timeout: 60 };
const never = new AbortController().signal;

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const done of cleanup.splice(0)) done();
});

interface Origin {
  readonly address: Address;
  /** All that arrived, as text. */
  readonly heard: () => string;
  /** Resolves when the probe's connection is over. */
  readonly over: Promise<void>;
}

/** An endpoint that does `act` once the request's head is there; without `act` it says nothing. */
function origin(act: (connection: Connection) => void = () => {}): Origin {
  let heard = "";
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const listener: Listener = transport.listen(
    { address: { kind: "tcp", host: "127.0.0.1", port: 0 } },
    (connection) => {
      const handler: ConnectionHandler = {
        onOpen() {},
        onData(bytes) {
          heard += new TextDecoder().decode(bytes);
          if (heard.endsWith("\r\n\r\n")) act(connection);
        },
        onDrain() {},
        onEnd: () => connection.close(),
        onClose: () => resolve(),
      };
      return handler;
    },
  );
  cleanup.push(() => listener.close());
  return { address: { kind: "tcp", host: "127.0.0.1", port: listener.port }, heard: () => heard, over };
}

function say(connection: Connection, text: string): void {
  const bytes = new TextEncoder().encode(text);
  connection.write(bytes, 0, bytes.length);
}

/** Says it and closes. */
function answer(text: string): (connection: Connection) => void {
  return (connection) => {
    say(connection, text);
    connection.close();
  };
}

async function ask(act: (connection: Connection) => void, over: Partial<ReadinessPlan> = {}): Promise<Seen> {
  const at = origin(act);
  const seen = await probes.http.run(at, { ...plan, ...over }, never);
  await at.over;
  return seen;
}

describe("http", () => {
  test("an expected status is ready", async () => {
    const seen = await ask(answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    expect(seen).toMatchObject({ ok: true, status: 200, detail: "status 200" });
    expect(seen.took).toBeGreaterThanOrEqual(0);
  });

  test("another status is not, and it says what was expected", async () => {
    const seen = await ask(answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), {
      expect: [
        [200, 299],
        [401, 401],
      ],
    });
    expect(seen).toMatchObject({ ok: false, status: 503, detail: "status 503, expected 200-299 or 401" });
  });

  test("an answer in single bytes, after interim ones, is read all the same", async () => {
    const text = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n";
    const seen = await ask((connection) => {
      for (const byte of text) say(connection, byte);
      connection.close();
    });
    expect(seen).toMatchObject({ ok: true, status: 204 });
  });

  test.each([
    ["HTTP/1.1 2000 OK\r\n\r\n", /invalid answer/],
    ["SSH-2.0-OpenSSH_9.6\r\n", /invalid answer/],
    ["HTTP/1.1 200 OK\nContent-Length: 0\n\n", /invalid answer/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", /invalid answer/],
    [`HTTP/1.1 200 OK\r\nX: ${"x".repeat(70_000)}\r\n\r\n`, /invalid answer/],
    ["HTTP/1.1 100 Continue\r\n\r\n".repeat(20), /only interim answers/],
    ["", /connection closed before an answer/],
    ["HTTP/1.1 200 OK\r\nContent-", /answer ended within its head/],
  ])("%j is not ready", async (text, detail) => {
    const seen = await ask(answer(text));
    expect(seen.ok).toBe(false);
    expect(seen.detail).toMatch(detail);
  });

  test.each([
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready", true, /body matches/],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n", true, /body matches/],
    ["HTTP/1.1 200 OK\r\n\r\nready", true, /body matches/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot\r\nyet.", false, /does not match .*: "not yet\."$/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, /does not match .*: it is empty$/],
    ["HTTP/1.1 204 No Content\r\n\r\n", false, /it is empty/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nready", false, /ended within its body/],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nread", false, /ended within its body/],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nready", false, /invalid answer/],
    ["HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nready", false, /^status 503, expected 200-299$/],
  ])("body of %j", async (text, ok, detail) => {
    for (const step of [text.length, 1]) {
      const seen = await ask(
        (connection) => {
          for (let i = 0; i < text.length; i += step) say(connection, text.slice(i, i + step));
          connection.close();
        },
        { body: { pattern: "^ready$", within: 64 } },
      );
      expect(seen.ok).toBe(ok);
      expect(seen.detail).toMatch(detail);
    }
  });

  test("a body is looked at as far as it was asked for, and no further", async () => {
    const text = `HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${"x".repeat(20)}ready`;
    const far = await ask((connection) => say(connection, text), {
      body: { pattern: "ready", within: 25 },
      timeout: 300,
    });
    expect(far.ok).toBe(true);
    const near = await ask(answer(text), { body: { pattern: "ready", within: 24 } });
    expect(near.ok).toBe(false);
  });

  test("a status can ask for draining, and so can Retry-After; neither speaks where the status means ready", async () => {
    const drainOn = [[404, 404]] as const;
    const gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    expect(await ask(answer(gone), { drainOn })).toMatchObject({
      ok: false,
      drain: "status",
      detail: "status 404, which asks to be drained",
    });
    expect(await ask(answer(gone))).not.toHaveProperty("drain");
    const busy = "HTTP/1.1 503 Busy\r\nRETRY-AFTER: 5\r\nContent-Length: 0\r\n\r\n";
    expect(await ask(answer(busy))).toMatchObject({
      drain: "retry-after",
      detail: "status 503 with Retry-After, expected 200-299",
    });
    expect(await ask(answer(busy), { expect: [[503, 503]] })).toEqual({
      ok: true,
      status: 503,
      detail: "status 503",
      took: expect.any(Number),
    });
  });

  test("a reset is told apart", async () => {
    const seen = await ask((connection) => connection.reset());
    expect(seen).toMatchObject({ ok: false, detail: "connection reset before an answer" });
  });

  test("silence ends with the timeout, and so does the connection", async () => {
    const at = origin();
    const seen = await probes.http.run(at, brief, never);
    expect(seen).toMatchObject({ ok: false, detail: "no answer within 60 ms" });
    await at.over;
  });

  test("a body that never ends does not hold the connection longer than the timeout", async () => {
    const seen = await ask((connection) => say(connection, "HTTP/1.1 200 OK\r\n\r\nbody"), { timeout: 200 });
    expect(seen.ok).toBe(true); // ask() waits until the connection is over
  });

  test("a body beyond all measure is cut off long before the timeout", async () => {
    const chunk = "x".repeat(16 * 1024);
    const seen = await ask(
      (connection) => {
        say(connection, "HTTP/1.1 200 OK\r\n\r\n");
        for (let i = 0; i < 64; i++) say(connection, chunk);
      },
      { timeout: 60_000 },
    );
    expect(seen.ok).toBe(true);
  });

  test("aborting ends it at once, before, while and after it asks", async () => {
    const at = origin();
    const before = AbortSignal.abort();
    expect(await probes.http.run(at, plan, before)).toMatchObject({ ok: false, detail: "cancelled" });
    expect(at.heard()).toBe("");

    const controller = new AbortController();
    const heard = origin(() => controller.abort());
    expect(await probes.http.run(heard, plan, controller.signal)).toMatchObject({ ok: false, detail: "cancelled" });
    await heard.over;

    const later = new AbortController();
    const endless = origin((connection) => say(connection, "HTTP/1.1 200 OK\r\n\r\n"));
    expect((await probes.http.run(endless, plan, later.signal)).ok).toBe(true);
    later.abort();
    await endless.over;
  });

  test("HEAD may announce a length", async () => {
    const seen = await ask(answer("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), { method: "HEAD" });
    expect(seen).toMatchObject({ ok: true, status: 200 });
  });
});

describe("the request", () => {
  const address: Address = { kind: "tcp", host: "::1", port: 3000 };

  test("is what a strict reader takes for exactly one request", () => {
    const bytes = requestOf(
      {
        ...plan,
        method: "POST",
        headers: [
          ["X-Probe", "1"],
          ["Transfer-Encoding", "chunked"],
        ],
      },
      address,
    );
    const [request, ...more] = readStrictRequests(bytes);
    expect(more).toEqual([]);
    expect(request).toMatchObject({ method: "POST", target: "/readyz" });
    expect(request!.headers).toEqual([
      ["Host", "[::1]:3000"],
      ["User-Agent", "plimsoll-probe/1"],
      ["X-Probe", "1"],
      ["Content-Length", "0"],
      ["Connection", "close"],
    ]);
  });

  test("has the Host and User-Agent that were given", () => {
    const text = (over: Partial<ReadinessPlan>, to: Address = address) =>
      new TextDecoder().decode(requestOf({ ...plan, ...over }, to));
    expect(text({ host: "app.example" })).toContain("\r\nHost: app.example\r\n");
    expect(text({}, { kind: "unix", path: "/run/app.sock" })).toContain("\r\nHost: localhost\r\n");
    const own = text({
      headers: [
        ["user-agent", "me"],
        ["HOST", "a"],
      ],
    });
    expect(own).toContain("\r\nuser-agent: me\r\n");
    expect(own).not.toContain("plimsoll-probe");
    expect(own.match(/host:/gi)).toHaveLength(1);
  });

  test("arrives as it was made", async () => {
    const at = origin(answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    await probes.http.run(at, plan, never);
    await at.over;
    expect(at.heard()).toBe(new TextDecoder().decode(requestOf(plan, at.address)));
  });
});

describe("tcp", () => {
  test("whoever accepts is ready, and hears nothing", async () => {
    const at = origin();
    expect(await probes.tcp.run(at, plan, never)).toMatchObject({ ok: true, detail: "connected" });
    await at.over;
    expect(at.heard()).toBe("");
  });
});

describe("command", () => {
  const at: Address = { kind: "tcp", host: "127.0.0.1", port: 4321 };
  const run = (words: readonly string[], over: Partial<ReadinessPlan> = {}, address: Address = at) =>
    probes.command.run({ address }, { ...plan, command: { words, env: [["TOKEN", "t"]] }, ...over }, never);

  test("exit 0 is ready, all else is not, and its last words are told", async () => {
    expect(await run(["true"])).toMatchObject({ ok: true, detail: "exit 0" });
    const script = "echo first; echo 'replica lag 90 s' >&2; exit 3";
    expect(await run(["sh", "-c", script])).toMatchObject({ ok: false, detail: "exit 3: replica lag 90 s" });
    expect(await run(["sh", "-c", "kill -9 $$"])).toMatchObject({ ok: false, detail: "ended by SIGKILL" });
  });

  test("it finds the endpoint and its settings in its environment, and nothing of ours", async () => {
    process.env["PLIMSOLL_TEST_SECRET"] = "s3cret";
    cleanup.push(() => delete process.env["PLIMSOLL_TEST_SECRET"]);
    const script = 'echo "$PLIMSOLL_ADDRESS $PLIMSOLL_HOST $PLIMSOLL_PORT $TOKEN [$PLIMSOLL_TEST_SECRET]"';
    expect((await run(["sh", "-c", script])).detail).toBe("exit 0: 127.0.0.1:4321 127.0.0.1 4321 t []");
    const unix = await run(["sh", "-c", 'echo "$PLIMSOLL_ADDRESS $PLIMSOLL_SOCKET"'], {}, { kind: "unix", path: "/a" });
    expect(unix.detail).toBe("exit 0: unix:/a /a");
  });

  test("no shell reads its words", async () => {
    expect((await run(["echo", "$HOME; ls"])).detail).toBe("exit 0: $HOME; ls");
  });

  test("a program that is not there is not ready", async () => {
    const seen = await run(["/nonexistent/check"]);
    expect(seen.ok).toBe(false);
    expect(seen.detail).toMatch(/^the command cannot be run: /);
  });

  test("when time is up it is killed with all it started", async () => {
    const child = Bun.which("sleep") ?? "sleep";
    const seen = await run(["sh", "-c", `${child} 987.25 & ${child} 987.25`], { timeout: 100 });
    expect(seen).toMatchObject({ ok: false, detail: "the command did not end within 100 ms" });
    const end = performance.now() + 5_000;
    const left = () => Bun.spawnSync(["pgrep", "-f", "sleep 987.25"]).stdout.toString();
    while (left() !== "" && performance.now() < end) await Bun.sleep(10);
    expect(left()).toBe("");
  });

  test("what it leaves behind does not hold the verdict up, and goes with it", async () => {
    const seen = await run(["sh", "-c", "sleep 986.25 & echo well"]);
    expect(seen).toMatchObject({ ok: true, detail: "exit 0: well" });
    const end = performance.now() + 5_000;
    const left = () => Bun.spawnSync(["pgrep", "-f", "sleep 986.25"]).stdout.toString();
    while (left() !== "" && performance.now() < end) await Bun.sleep(10);
    expect(left()).toBe("");
  });

  test("however much it says, little is kept", async () => {
    const seen = await run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"]);
    expect(seen.ok).toBe(true);
    expect(seen.detail.length).toBeLessThan(200);
  });
});

describe("tls", () => {
  const folder = join(import.meta.dir, "../../../../../tests/integration/runtime/certificates");
  // Self-signed, for a.example.
  const authority = join(folder, "a-ec.crt");
  const name = "a.example";
  const secure = (over: Partial<NonNullable<ReadinessPlan["tls"]>>): ReadinessPlan => ({
    ...plan,
    probe: "tls",
    tls: { serverName: "", verify: true, ca: "", ...over },
  });

  function tlsOrigin(): Address {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: Bun.file(authority), key: Bun.file(join(folder, "a-ec.key")) },
      socket: { data() {} },
    });
    cleanup.push(() => server.stop(true));
    return { kind: "tcp", host: "127.0.0.1", port: server.port };
  }

  test("a handshake with a certificate that is believed is ready", async () => {
    const address = tlsOrigin();
    const seen = await probes.tls.run({ address }, secure({ ca: authority, serverName: name }), never);
    expect(seen).toMatchObject({ ok: true, detail: "TLSv1.3 handshake" });
  });

  test("one that is not believed is not, unless nobody asks", async () => {
    const address = tlsOrigin();
    const strange = await probes.tls.run({ address }, secure({ serverName: name }), never);
    expect(strange.ok).toBe(false);
    expect(strange.detail).toMatch(/self.signed|unable to|UNABLE|SELF_SIGNED/i);
    const misnamed = await probes.tls.run({ address }, secure({ ca: authority, serverName: "other.example" }), never);
    expect(misnamed.ok).toBe(false);
    expect(misnamed.detail).toContain("other.example");
    const nameless = await probes.tls.run({ address }, secure({ ca: authority }), never);
    expect(nameless.ok).toBe(false);
    expect(nameless.detail).toContain("127.0.0.1");
    expect((await probes.tls.run({ address }, secure({ verify: false }), never)).ok).toBe(true);
  });

  test("what does not speak TLS is not ready, and neither is who says nothing", async () => {
    const talker = origin();
    const seen = await probes.tls.run(talker, { ...secure({}), timeout: 60 }, never);
    expect(seen).toMatchObject({ ok: false, detail: "no handshake within 60 ms" });
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.end("SSH-2.0-OpenSSH_9.6\r\n"), data() {} },
    });
    cleanup.push(() => server.stop(true));
    const address: Address = { kind: "tcp", host: "127.0.0.1", port: server.port };
    expect((await probes.tls.run({ address }, secure({}), never)).ok).toBe(false);
  });

  test("authorities that cannot be read are told by their path", async () => {
    const seen = await probes.tls.run({ address: tlsOrigin() }, secure({ ca: "/nonexistent/ca.pem" }), never);
    expect(seen.ok).toBe(false);
    expect(seen.detail).toContain("/nonexistent/ca.pem cannot be read");
  });
});

const networked = Object.entries(probes).filter(([name]) => name !== "command");

describe.each(networked)("every probe: %s", (name, probe) => {
  test("goes by the name it has in the table", () => {
    expect(probe.name).toBe(name as ReadinessPlan["probe"]);
  });

  test("where nobody listens is refused", async () => {
    const listener = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, () => {
      throw new Error("nobody connects here");
    });
    const { port } = listener;
    listener.close();
    const seen = await probe.run({ address: { kind: "tcp", host: "127.0.0.1", port } }, plan, never);
    expect(seen).toMatchObject({ ok: false, detail: "connection refused" });
  });

  test("a socket file that is not there is not ready", async () => {
    const seen = await probe.run({ address: { kind: "unix", path: "/nonexistent/app.sock" } }, plan, never);
    expect(seen.ok).toBe(false);
  });
});

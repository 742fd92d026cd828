// Scripted probes against doubles that are written out byte by byte, on real sockets. PostgreSQL and Redis themselves are in
// tests/integration/layer4.
import { afterEach, describe, expect, test } from "bun:test";
import { createBunTransport } from "../../net/bun-transport.ts";
import { systemClock, systemTimers } from "../../net/clock.ts";
import { runCommand } from "../../net/run-command.ts";
import { shakeHands } from "../../net/tls-handshake.ts";
import type { Connection } from "../../net/transport.ts";
import { readiness } from "../fixtures.ts";
import type { ProbeName, ReadinessPlan } from "../plan.ts";
import type { Seen } from "./probe.ts";
import { begins, longestScriptAnswer, matches, send } from "./script.ts";
import { makeProbes } from "./table.ts";

const transport = createBunTransport();
const probes = makeProbes({ transport, clock: systemClock, timers: systemTimers, shakeHands, runCommand });
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const done of cleanup.splice(0)) done();
});

/** What a double says: first, and to each thing that it has heard in full; the second is what it heard. */
type Act = (heard: string, say: (bytes: string | Uint8Array) => void, connection: Connection) => void;

interface Asked {
  readonly seen: Seen;
  /** All that the double heard until the connection was over, as latin-1. */
  readonly heard: string;
}

async function ask(probe: ProbeName, act: Act, plan: Partial<ReadinessPlan> = {}): Promise<Asked> {
  let heard = "";
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const listener = transport.listen({ address: { kind: "tcp", host: "127.0.0.1", port: 0 } }, (connection) => {
    const say = (text: string | Uint8Array): void => {
      const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
      connection.write(bytes, 0, bytes.length);
    };
    queueMicrotask(() => act("", say, connection));
    return {
      onOpen() {},
      onData(bytes) {
        heard += Buffer.from(bytes).toString("latin1");
        act(heard, say, connection);
      },
      onDrain() {},
      onEnd: () => connection.close(),
      onClose: () => resolve(),
    };
  });
  cleanup.push(() => listener.close());
  const address = { kind: "tcp", host: "127.0.0.1", port: listener.port } as const;
  const seen = await probes[probe].run(
    { address },
    { ...readiness, probe, timeout: 5_000, ...plan },
    new AbortController().signal,
  );
  await over;
  return { seen, heard };
}

const silent: Act = () => {};

describe("a script", () => {
  const script = [begins("HI "), send("PING\r\n"), matches(/^PONG [0-9]+\r\n/), send("BYE\r\n")];

  test("is ready when every expectation is met, however the answers are cut, and says goodbye", async () => {
    const asked = await ask(
      "script",
      (heard, say) => {
        if (heard === "") {
          say("H");
          setTimeout(() => say("I there\r\n"), 5);
        } else if (heard === "PING\r\n") {
          say("PONG 4");
          setTimeout(() => say("2\r\n"), 5);
        }
      },
      { script },
    );
    expect(asked.seen).toMatchObject({ ok: true, detail: 'answered "PONG 42"' });
    expect(asked.heard).toBe("PING\r\nBYE\r\n");
  });

  test("fails at the first byte that differs, with what came and what was wanted", async () => {
    const { seen, heard } = await ask("script", (heard, say) => heard === "" && say("HO \x07there\r\n"), { script });
    expect(seen).toMatchObject({ ok: false, detail: 'answered "HO  there", expected "HI"' });
    expect(heard).toBe("");
  });

  test("does not take the answer to one step for that to the next", async () => {
    const steps = [begins("OK"), send("AGAIN"), begins("OK")];
    const { seen } = await ask("script", (heard, say) => heard === "" && say("OK"), { script: steps, timeout: 60 });
    expect(seen).toMatchObject({ ok: false, detail: "no answer within 60 ms" });
  });

  test("fails when the endpoint closes first", async () => {
    const closes: Act = (heard, say, connection) => {
      if (heard !== "") return;
      say("H");
      connection.close();
    };
    expect((await ask("script", closes, { script })).seen).toMatchObject({
      ok: false,
      detail: 'answered "H", expected "HI"',
    });
    expect((await ask("script", (_h, _s, connection) => connection.close(), { script })).seen).toMatchObject({
      ok: false,
      detail: 'closed without an answer, expected "HI"',
    });
  });

  test("looks at so much of an answer and no more", async () => {
    const flood = "x".repeat(longestScriptAnswer);
    const { seen } = await ask("script", (heard, say) => heard === "" && say(`${flood}end`), {
      script: [matches(/end/)],
    });
    expect(seen.ok).toBe(false);
    expect(seen.detail.length).toBeLessThan(200);
  });
});

describe("redis", () => {
  const ping = "*1\r\n$4\r\nPING\r\n";
  const quit = "*1\r\n$4\r\nQUIT\r\n";

  test("is asked for PONG", async () => {
    const asked = await ask("redis", (heard, say) => heard === ping && say("+PONG\r\n"));
    expect(asked.seen.ok).toBe(true);
    expect(asked.heard).toBe(ping + quit);
  });

  test("is logged in to first where there is a password, of any user", async () => {
    for (const [user, auth] of [
      ["", "*2\r\n$4\r\nAUTH\r\n$5\r\np\u00c3\u00a4ss\r\n"],
      ["ops", "*3\r\n$4\r\nAUTH\r\n$3\r\nops\r\n$5\r\np\u00c3\u00a4ss\r\n"],
    ] as const) {
      const act: Act = (heard, say) => {
        if (heard === auth) say("+OK\r\n");
        if (heard === auth + ping) say("+PONG\r\n");
      };
      const asked = await ask("redis", act, { login: { user, password: "p\u00e4ss", database: "" } });
      expect(asked.heard).toBe(auth + ping + quit);
      expect(asked.seen.ok).toBe(true);
    }
  });

  test("is not ready while it loads or wants a password, and says so; the password stays out of it", async () => {
    for (const answer of ["-LOADING Redis is loading the dataset in memory", "-NOAUTH Authentication required."]) {
      const { seen } = await ask("redis", (heard, say) => heard !== "" && say(`${answer}\r\n`));
      expect(seen).toMatchObject({ ok: false, detail: `answered "${answer}", expected "+PONG"` });
    }
    const { seen } = await ask("redis", (heard, say) => heard !== "" && say("-WRONGPASS no\r\n"), {
      login: { user: "", password: "hunter2", database: "" },
    });
    expect(seen.ok).toBe(false);
    expect(seen.detail).not.toContain("hunter2");
  });
});

describe("postgres", () => {
  const error = (state: string, text: string): string => {
    const fields = `SFATAL\0VFATAL\0C${state}\0M${text}\0\0`;
    const head = Buffer.alloc(5);
    head.write("E");
    head.writeUInt32BE(4 + fields.length, 1);
    return head.toString("latin1") + fields;
  };

  test("says who it is, is content with being asked for a password, and leaves in order", async () => {
    const wants = "R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0";
    const asked = await ask("postgres", (heard, say) => heard.endsWith("\0\0") && heard[0] !== "X" && say(wants), {
      login: { user: "probe", password: "", database: "shop" },
    });
    expect(asked.seen.ok).toBe(true);
    const text = "user\0probe\0database\0shop\0application_name\0plimsoll\0\0";
    expect(asked.heard).toBe(`\0\0\0${String.fromCharCode(8 + text.length)}\0\x03\0\0${text}X\0\0\0\x04`);
  });

  test("whoever turns this login away is ready; whoever starts, stops or is full is not", async () => {
    const ready = { "28000": true, "3D000": true, "57P01": false, "57P02": false, "57P03": false, "53300": false };
    for (const [state, ok] of Object.entries(ready)) {
      const act: Act = (heard, say, connection) => {
        if (heard === "" || heard.includes("X\0")) return;
        const whole = error(state, "the database system is starting up");
        say(whole.slice(0, 9));
        setTimeout(() => {
          say(whole.slice(9));
          connection.close();
        }, 5);
      };
      const { seen } = await ask("postgres", act);
      expect([state, seen.ok]).toEqual([state, ok]);
      if (!ok) expect(seen.detail).toContain("the database system is starting up");
    }
  });

  test("who speaks something else is not", async () => {
    const { seen } = await ask("postgres", (heard, say) => heard !== "" && say("HTTP/1.1 400 Bad Request\r\n\r\n"));
    expect(seen.ok).toBe(false);
  });
});

describe("mysql", () => {
  const packet = (number: number, body: readonly number[]): Uint8Array =>
    Uint8Array.of(body.length & 255, body.length >> 8, 0, number, ...body);
  const text = (value: string): number[] => [...Buffer.from(value, "latin1")];
  const greeting = packet(0, [10, ...text("8.0.36\0"), 1, 0, 0, 0, ...text("12345678\0"), 255, 255, 45, 2, 0]);

  /** A server that greets and gives this answer to the login. */
  const server =
    (answer: readonly number[]): Act =>
    (heard, say) => {
      if (heard === "") say(greeting);
      else if (heard.endsWith("mysql_native_password\0")) say(packet(2, answer));
    };

  test("answers the greeting with a login without a password, to the end: an interrupted one would count against us", async () => {
    const asked = await ask("mysql", server([255, 0x15, 0x04, ...text("#28000Access denied")]), {
      login: { user: "probe", password: "", database: "" },
    });
    expect(asked.seen.ok).toBe(true);
    const { heard } = asked;
    expect(heard.charCodeAt(3)).toBe(1);
    expect(heard.charCodeAt(0)).toBe(32 + "probe\0\0mysql_native_password\0".length);
    expect(heard.slice(36)).toBe("probe\0\0mysql_native_password\0\0\0\0\x03");
    // Protocol 4.1 and named authentication, no TLS: the greeting is answered in plain.
    const flags = Buffer.from(heard.slice(4, 8), "latin1").readUInt32LE();
    expect([flags & 0x200, flags & 0x80000, flags & 0x800]).toEqual([0x200, 0x80000, 0]);
  });

  test("whatever it says to the login it is ready, but for having no connection left", async () => {
    for (const [answer, ok] of [
      [[0, 0, 0, 2, 0, 0, 0], true],
      [[254, ...text("caching_sha2_password\0")], true],
      [[255, 0x10, 0x04, ...text("Too many connections")], false],
      [[255, 0xb3, 0x04, ...text("max_user_connections")], false],
    ] as const) {
      const { seen } = await ask("mysql", server(answer));
      expect([answer[0], seen.ok]).toEqual([answer[0], ok]);
    }
  });

  test("an OK, of which nothing can be printed, is shown byte by byte", async () => {
    const { seen } = await ask("mysql", server([0, 0, 0, 2, 0, 0, 0]));
    expect(seen.detail).toBe("answered bytes 07 00 00 02 00 00 00 02 00 00 00");
    const long = await ask("mysql", server([0, ...Buffer.alloc(30, 1)]));
    expect(long.seen.detail).toEndWith("01 01 ...");
  });

  test("that greets with an error is not ready", async () => {
    const blocked = packet(0, [255, 0x69, 0x04, ...text("Host '10.0.0.1' is blocked")]);
    const { seen } = await ask("mysql", (heard, say) => heard === "" && say(blocked));
    expect(seen.ok).toBe(false);
    expect(seen.detail).toContain("is blocked");
  });
});

describe("smtp", () => {
  test("is greeted, greets, and is left with QUIT; answers of several lines are waited for", async () => {
    const asked = await ask("smtp", (heard, say) => {
      if (heard === "") say("220-mail.example.com\r\n220");
      if (heard === "") setTimeout(() => say(" ready\r\n"), 5);
      if (heard === "EHLO plimsoll.invalid\r\n") say("250-mail.example.com\r\n250-SIZE 1\r\n250 8BITMIME\r\n");
    });
    expect(asked.seen.ok).toBe(true);
    expect(asked.heard).toBe("EHLO plimsoll.invalid\r\nQUIT\r\n");
  });

  test("that says no more than its codes is ready, too", async () => {
    const { seen } = await ask("smtp", (heard, say) => {
      if (heard === "") say("220\r\n");
      if (heard === "EHLO plimsoll.invalid\r\n") say("250\r\n");
    });
    expect(seen.ok).toBe(true);
  });

  test("that is closed for now is not ready", async () => {
    const { seen } = await ask("smtp", (heard, say) => heard === "" && say("421 too busy\r\n"));
    expect(seen).toMatchObject({ ok: false });
    expect(seen.detail).toContain('answered "421 too busy"');
    const late = await ask("smtp", (heard, say) => {
      if (heard === "") say("220 hello\r\n");
      else if (heard.startsWith("EHLO") && heard.endsWith("\r\n")) say("550 go away\r\n");
    });
    expect(late.seen.ok).toBe(false);
  });
});

test("who says nothing is not ready after the time", async () => {
  for (const probe of ["redis", "postgres", "mysql", "smtp"] as const) {
    expect((await ask(probe, silent, { timeout: 60 })).seen).toMatchObject({
      ok: false,
      detail: "no answer within 60 ms",
    });
  }
});

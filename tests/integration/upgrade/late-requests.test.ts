// Connections that were opened before another program takes over and say nothing until long after: each is one that its client
// trusts to be answered, whichever program has it.
import { afterEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "@plimsoll/testbed/certificates";
import { cleanUp, configFor, folder, later, run, startOrigin, until } from "../control/running.ts";

afterEach(cleanUp);

/** A connection that waits for its moment. */
interface Patient {
  ask(): void;
  readonly text: string;
  readonly ended: boolean;
}

async function connect(port: number, secure: boolean): Promise<Patient> {
  const seen = { text: "", ended: false };
  const open = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    ...(secure ? { tls: { rejectUnauthorized: false, serverName: "a.test" } } : {}),
    socket: {
      open: () => void (secure || open.resolve()),
      handshake: () => open.resolve(),
      data: (_, bytes) => void (seen.text += bytes.toString("latin1")),
      close: () => void (seen.ended = true),
      error: () => void (seen.ended = true),
    },
  });
  later(() => void socket.end());
  await open.promise;
  return {
    ask: () => void socket.write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    get text() {
      return seen.text;
    },
    get ended() {
      return seen.ended;
    },
  };
}

test("who connected before an upgrade and asks for the first time seconds later is answered, in plain text and over TLS", async () => {
  const made = await makeCertificate({ names: ["a.test"] });
  const base = folder();
  const [cert, key] = [join(base, "a.crt"), join(base, "a.key")];
  writeFileSync(cert, made.cert);
  writeFileSync(key, made.key, { mode: 0o600 });
  const common = { address: "127.0.0.1:0", timeouts: { headers: "60s" }, routes: [{ pool: "app" }] };
  const program = await run(
    configFor(0, [startOrigin("first").port], {
      listeners: { web: common, secure: { ...common, tls: { certificates: [{ cert, key }] } } },
      shutdown: { lag: "0s", window: "60s" },
    }),
  );
  const ports = [await program.port("web"), await program.port("secure")] as const;
  const old = program.note().pid;
  const patients = await Promise.all(
    Array.from({ length: 24 }, (_, index) => connect(ports[index % 2] ?? 0, index % 2 === 1)),
  );
  await until("all are the old one's", async () => {
    const { listeners } = await program.status();
    return listeners.reduce((sum, { openConnections }) => sum + openConnections, 0) === patients.length;
  });
  expect((await program.admin("POST", "/upgrade")).status).toBe(200);
  expect(program.note().pid).not.toBe(old);
  // What an idle connection that was used before is given is over by then, whatever the machine does.
  await Bun.sleep(1_600);
  const half = patients.slice(0, 12);
  for (const each of half) each.ask();
  await until("the first half is answered", () => half.every(({ ended }) => ended));
  await Bun.sleep(1_400);
  for (const each of patients.slice(12)) each.ask();
  await until("all are answered", () => patients.every(({ ended }) => ended));
  const answered = patients.filter(({ text }) => text.startsWith("HTTP/1.1 200 OK\r\n") && text.endsWith("first"));
  expect(answered.length).toBe(patients.length);
  expect(answered.every(({ text }) => /\r\nconnection: close\r\n/i.test(text))).toBe(true);
  // Nothing keeps the old one any longer.
  expect(await program.process.exited).toBe(0);
}, 60_000);

// DNS through a whole program, with a client and servers that others wrote: dnsmasq twice, and dig.
// Needs: dig, dnsmasq
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { freePort, startProgram, type Program } from "@plimsoll/testbed/processes";
import { cleanUp, later, run, type Running } from "../control/running.ts";

setDefaultTimeout(120_000);
afterEach(cleanUp);

/** A text that no datagram of 512 bytes holds. */
const long = Array.from({ length: 4 }, (_, at) => String(at).repeat(200));

/** A name server that says who it is at who.test. */
async function nameServer(who: string): Promise<{ readonly port: number; readonly program: Program }> {
  const port = await freePort();
  const records = [`who.test,${who}`, ...long.map((text) => `long.test,${text}`)];
  const program = await startProgram(
    [
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--pid-file=",
      "--no-resolv",
      "--no-hosts",
      "--listen-address=127.0.0.1",
      "--bind-interfaces",
      `--port=${port}`,
      ...records.map((record) => `--txt-record=${record}`),
    ],
    { ready: port },
  );
  later(() => program.stop().then(() => undefined));
  return { port, program };
}

/** The same port for datagrams and connections, as DNS has it, before these servers. */
async function balancer(servers: readonly number[], workers = 2): Promise<{ port: number; running: Running }> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const routes = [{ pool: "names" }];
  const running = await run({
    listeners: {
      dns: { address, protocol: "udp", udp: { idle: "10s", answers: 1 }, routes },
      dnsTcp: { address, protocol: "tcp", routes },
    },
    pools: {
      names: {
        endpoints: servers.map((each) => `127.0.0.1:${each}`),
        balance: "roundRobin",
        readiness: { probe: "tcp", interval: "500ms", timeout: "500ms" },
      },
    },
    admin: { address: "127.0.0.1:0" },
    log: { access: "none" },
    shutdown: { lag: "0s", window: "1s" },
    workers,
  });
  return { port, running };
}

/** What dig was answered, in short; its exit code when it was not. It asks up to five times, as resolvers do. */
async function dig(port: number, ...question: readonly string[]): Promise<string> {
  const how = ["@127.0.0.1", "-p", String(port), "+short", "+tries=5", "+time=2"];
  const child = Bun.spawn(["dig", ...how, ...question], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  const text = await child.stdout.text();
  const code = await child.exited;
  // That it had to ask again is told in the same place.
  const answer = text.replaceAll(/^;; communications error .*: timed out$/gm, "").trim();
  return code === 0 ? answer : `dig ended with ${code}: ${text}`;
}

test("questions are spread over both servers, one by one and many at a time", async () => {
  const [first, second] = [await nameServer("first"), await nameServer("second")];
  const { port } = await balancer([first.port, second.port]);
  const answers = await Promise.all(Array.from({ length: 24 }, () => dig(port, "who.test", "TXT")));
  expect(new Set(answers)).toEqual(new Set(['"first"', '"second"']));
});

test("an answer that is too large for a datagram is asked for again by TCP, on the same port", async () => {
  const { port, running } = await balancer([(await nameServer("only")).port]);
  const said = await dig(port, "+bufsize=512", "long.test", "TXT");
  for (const text of long) expect(said).toContain(`"${text}"`);
  const { text } = await running.admin("GET", "/metrics");
  expect(text).toMatch(/^plimsoll_listener_datagrams_received_total\{.*listener="dns".*\} 1$/m);
  expect(text).toMatch(/^plimsoll_listener_connections_total\{.*listener="dnsTcp".*\} 1$/m);
});

test("one of two is killed in the middle: every question is answered, and by the other from then on", async () => {
  const [first, second] = [await nameServer("first"), await nameServer("second")];
  const { port } = await balancer([first.port, second.port]);
  const answers: string[] = [];
  let killed: Promise<unknown> | undefined;
  let afterwards = 0;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (answers.length < 60) {
        const gone = killed !== undefined;
        const answer = await dig(port, "who.test", "TXT");
        answers.push(answer);
        if (gone && answer === '"first"') afterwards++;
        if (answers.length >= 20) killed ??= first.program.kill();
      }
    }),
  );
  await killed;
  expect(new Set(answers)).toEqual(new Set(['"first"', '"second"']));
  // Asked when it was dead already.
  expect(afterwards).toBe(0);
  expect(await dig(port, "who.test", "TXT")).toBe('"second"');
});

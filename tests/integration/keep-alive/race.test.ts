// The keep-alive race with real Node applications: requests that come just when the application closes idle connections.
// None may fail, POST included: nobody could tell whether a failed one was worked on.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Program, startProgram } from "@plimsoll/testbed/processes";
import { eventually } from "@plimsoll/testbed/waiting";
import { connectRaw } from "@plimsoll/testbed/raw-client";
import { type EngineUnderTest, withEngine } from "../proxy/engine-under-test.ts";

const post = "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nhello";
const get = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n";

interface Application {
  readonly program: Program;
  readonly port: number;
  /** When it really closes an idle connection, ms: newer versions of Node add a second to what they say. */
  readonly closes: number;
}

async function nodeApp(timeout: number, manner: "told" | "silent"): Promise<Application> {
  const script = join(import.meta.dir, "node-app.mjs");
  const program = await startProgram(["node", script, String(timeout), manner], { ready: /listening on/ });
  const port = Number((await program.line(/listening on (\d+)/))[1]);
  const client = await connectRaw(port);
  await client.send(get);
  await client.readAnswer();
  const from = performance.now();
  await client.readEnd();
  const closes = performance.now() - from;
  client.close();
  return { program, port, closes };
}

/** Kinds of applications: `keepAliveTimeout` in ms, and whether answers tell of it. */
const kinds = {
  usual: [5_000, "told"],
  second: [1_000, "told"],
  short: [300, "told"],
  silent: [2_000, "silent"],
} as const;
type Kind = keyof typeof kinds;

/**
 * `lanes` clients, each with a connection of its own, that send `rounds` requests with rests around `rest` ms: the whole time
 * some of them ask within a few ms of the application's closing. Returns the bodies that came back.
 */
async function ask(under: EngineUnderTest, kind: Kind, lanes: number, rounds: number, rest: number): Promise<string[]> {
  const seen: string[] = [];
  const lane = async (number: number): Promise<void> => {
    const client = await under.connect();
    for (let round = 0; round < rounds; round++) {
      // Lanes come in turns over 60 ms around the closing, half of them POST.
      if (round > 0) await Bun.sleep(rest - 30 + (60 * ((number + round * 7) % lanes)) / lanes);
      await client.send(((number + round) % 2 === 0 ? post : get).replace(" /", ` /${kind}`));
      const answer = await client.readAnswer();
      seen.push(`${answer.status} ${Buffer.from(answer.body).toString()}`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  return seen;
}

test("requests that come as the application closes: none fails, none meets a closing connection", async () => {
  const names = Object.keys(kinds) as Kind[];
  const apps = {} as Record<Kind, Application>;
  const programs: Program[] = [];
  await Promise.all(
    names.map(async (name) => {
      apps[name] = await nodeApp(kinds[name][0], kinds[name][1]);
      programs.push(apps[name].program);
    }),
  );
  const plan = () => ({
    routes: names.map((name) => ({ path: `/${name}`, to: name })),
    pools: Object.fromEntries(names.map((name) => [name, { endpoints: [apps[name].port] }])),
  });
  const cell = (under: EngineUnderTest, kind: Kind, name: "keepAlive" | "connects" | "reuses") =>
    under.endpoint(kind, `127.0.0.1:${apps[kind].port}`, name);
  try {
    await withEngine({}, plan, async (under) => {
      // Short rests reuse what is there: learning costs no connections.
      expect(await ask(under, "usual", 10, 10, 60)).toHaveLength(100);
      expect(cell(under, "usual", "connects")).toBeLessThanOrEqual(10);
      expect(cell(under, "usual", "reuses")).toBeGreaterThanOrEqual(90);

      // The silent one has to be seen closing once.
      await ask(under, "silent", 1, 1, 0);
      await eventually("the closing is learned", () => cell(under, "silent", "keepAlive") > 0);
      expect(cell(under, "silent", "keepAlive")).toBeGreaterThan(apps.silent.closes - 1_200);
      expect(cell(under, "silent", "keepAlive")).toBeLessThan(apps.silent.closes - 700);

      const rounds: Record<Kind, number> = { usual: 3, second: 6, short: 9, silent: 4 };
      const seen = await Promise.all(names.map((name) => ask(under, name, 40, rounds[name], apps[name].closes)));
      for (const [index, name] of names.entries()) {
        expect(seen[index]).toHaveLength(40 * rounds[name]);
        expect(seen[index]!.filter((one) => !/^200 got [05]$/.test(one))).toEqual([]);
        expect([name, under.pool(name, "staleRetried"), under.pool(name, "staleFailed")]).toEqual([name, 0, 0]);
      }
      expect(under.records.filter((record) => record.fault !== "" || record.attempts !== 1)).toEqual([]);
      expect(under.pool("usual", "staleAvoided")).toBeGreaterThan(0);
      await Promise.all(programs.map((program) => program.stop()));
    });
  } finally {
    await Promise.all(programs.map((program) => program.kill()));
  }
}, 60_000);

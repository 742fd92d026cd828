// `plimsoll up` as a whole: balancer, instances and real requests.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { startProgram, type Program } from "./program.ts";
import { fixtures, survivors, until } from "./stage.ts";

setDefaultTimeout(60_000);

const node = Bun.which("node") ?? "node";
const nodeApp = [node, `${fixtures}/node-app.mjs`];

function up(args: readonly string[], command: readonly string[] = nodeApp, env: Record<string, string> = {}): Program {
  return startProgram(["up", "--port", "0", "--admin", "off", "--workers", "2", ...args, "--", ...command], { env });
}

/** Process groups of all instances that were started. */
function groups(program: Program): number[] {
  return [...program.err().matchAll(/starts with PORT=\d+ \(process (\d+)\)/g)].map((match) => Number(match[1]));
}

interface Load {
  stop(): Promise<{
    readonly answered: number;
    readonly failures: readonly string[];
    readonly by: ReadonlySet<string>;
  }>;
}

/** Asks without a break over `connections` keep-alive connections, and remembers whatever is not a good answer. */
function load(url: string, connections: number): Load {
  let going = true;
  let answered = 0;
  const failures: string[] = [];
  const by = new Set<string>();
  const loop = async (at: number): Promise<void> => {
    for (let turn = 0; going; turn++) {
      try {
        const answer = await fetch(at === 0 && turn % 3 === 0 ? `${url}/slow` : url);
        const text = await answer.text();
        if (answer.status === 200 && /app-\d/.test(text)) answered++;
        else failures.push(`${answer.status} ${text}`);
        by.add(text.trim());
      } catch (error) {
        failures.push(String(error));
      }
      await Bun.sleep(2);
    }
  };
  const loops = Array.from({ length: connections }, (_, at) => loop(at));
  return {
    async stop() {
      going = false;
      await Promise.all(loops);
      return { answered, failures, by };
    },
  };
}

/** Asks as a browser that has this cookie: the answer's text, and the cookie from then on. */
async function visit(url: string, cookie: string): Promise<{ readonly text: string; readonly cookie: string }> {
  const answer = await fetch(url, { headers: { connection: "close", ...(cookie === "" ? {} : { cookie }) } });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
  const given = answer.headers.getSetCookie().find((line) => line.startsWith("plimsoll="));
  return { text: (await answer.text()).trim(), cookie: given?.split(";")[0] ?? cookie };
}

describe("traffic", () => {
  test("with --sticky each client keeps its instance, and that instance's successor", async () => {
    await using program = up(["-n", "3", "--sticky"]);
    const url = await program.says(/all 3 instances are ready behind (\S+)/);
    // By chance: of twelve, one run in forty found nobody at one of the three.
    const first = await Promise.all(Array.from({ length: 60 }, () => visit(url, "")));
    expect(new Set(first.map(({ text }) => text)).size).toBe(3);
    const again = async () => await Promise.all(first.map(({ cookie }) => visit(url, cookie)));
    for (let round = 0; round < 3; round++) expect(await again()).toEqual(first);
    program.signal("SIGHUP");
    let rolling = true;
    const rolled = program.says(/all 3 instances are replaced/).finally(() => (rolling = false));
    while (rolling) await again(); // throws when one fails
    await rolled;
    const name = ({ text }: { readonly text: string }) => text.split(" ")[0];
    const after = await again();
    expect(after.map(name)).toEqual(first.map(name));
    for (const [i, { text }] of after.entries()) expect(text).not.toBe(first[i]!.text);
    expect(after.map(({ cookie }) => cookie)).toEqual(first.map(({ cookie }) => cookie));
  });

  test("is balanced over all, and SIGHUP replaces them without losing a request", async () => {
    await using program = up(["-n", "3"]);
    const url = await program.says(/all 3 instances are ready behind (\S+)/);
    const traffic = load(url, 8);
    await Bun.sleep(300);
    program.signal("SIGHUP");
    await program.says(/all 3 instances are replaced/);
    await Bun.sleep(300);
    const { answered, failures, by } = await traffic.stop();
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(100);
    // Three old processes, three new ones (and slow answers, which carry no process).
    expect([...by].filter((text) => /^app-\d \d+$/.test(text)).length).toBe(6);
    expect(groups(program).length).toBe(6);
    expect(survivors(groups(program).slice(0, 3))).toEqual([]);
    program.signal("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(survivors(groups(program))).toEqual([]);
  });

  test("a single instance is replaced without a gap as well", async () => {
    await using program = up(["-n", "1"]);
    const url = await program.says(/all 1 instances are ready behind (\S+)/);
    const traffic = load(url, 4);
    program.signal("SIGHUP");
    await program.says(/all 1 instances are replaced/);
    const { failures } = await traffic.stop();
    expect(failures).toEqual([]);
    program.signal("SIGINT");
    expect(await program.exited).toBe(0);
  });

  test("goes around an instance that is killed, and to its successor", async () => {
    await using program = up(["-n", "2"]);
    const url = await program.says(/all 2 instances are ready behind (\S+)/);
    const [victim = 0] = groups(program);
    process.kill(victim, "SIGKILL");
    await program.says(/app-\d was ended by SIGKILL/);
    await program.says(/app-\d starts again in/);
    await until("three have been started", () => groups(program).length === 3);
    await until("two processes answer again", async () => {
      const seen = new Set<string>();
      for (let turn = 0; turn < 12; turn++) seen.add(await (await fetch(url)).text());
      return seen.size === 2;
    });
    program.signal("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(survivors(groups(program))).toEqual([]);
  });
});

describe("the end", () => {
  test("a request in flight is finished first", async () => {
    await using program = up(["-n", "1"]);
    const url = await program.says(/all 1 instances are ready behind (\S+)/);
    const slow = fetch(`${url}/slow`).then(async (answer) => [answer.status, await answer.text()]);
    await Bun.sleep(150);
    program.signal("SIGTERM");
    expect(await slow).toEqual([200, "slow app-1\n"]);
    expect(await program.exited).toBe(0);
  });

  test("the same signal by two ways is one", async () => {
    await using program = up(["-n", "1"]);
    const url = await program.says(/all 1 instances are ready behind (\S+)/);
    const slow = fetch(`${url}/slow`).then((answer) => answer.status);
    await Bun.sleep(150);
    program.signal("SIGINT");
    program.signal("SIGINT");
    expect(await slow).toBe(200);
    expect(await program.exited).toBe(0);
  });

  test("a command that does not come up: why, its last words, exit code 1, nothing left", async () => {
    await using program = up(["-n", "2"], nodeApp, { MODE: "throws" });
    expect(await program.exited).toBe(1);
    expect(program.err()).toContain("no database today");
    expect(program.err()).toContain("has come up: it exited with code 1");
    expect(survivors(groups(program))).toEqual([]);
  });

  test("killed with -9: instances and workers go as well", async () => {
    await using program = up(["-n", "2", "--grace", "2s"]);
    const url = await program.says(/all 2 instances are ready behind (\S+)/);
    const own = groups(program);
    program.signal("SIGKILL");
    await program.exited;
    await until("the instances are gone", () => survivors(own).length === 0);
    await until("nobody listens any more", () =>
      fetch(url).then(
        () => false,
        () => true,
      ),
    );
  });

  describe("what has left its instance's process group", () => {
    const daemonApp = [node, `${fixtures}/daemon-app.mjs`];

    async function daemons(program: Program, count: number): Promise<number[]> {
      const found = () => [...program.out().matchAll(/daemon (\d+) of/g)].map((match) => Number(match[1]));
      await until(`${count} daemons are there`, () => found().length >= count);
      return found();
    }

    test("ends when `up` does, and is named; until then it outlives its instance", async () => {
      await using program = up(["-n", "2"], daemonApp);
      await program.says(/all 2 instances are ready behind (\S+)/);
      const first = await daemons(program, 2);
      program.signal("SIGHUP");
      await program.says(/all 2 instances are replaced/);
      const all = await daemons(program, 4);
      expect(survivors(all).toSorted()).toEqual(all.toSorted());
      program.signal("SIGTERM");
      expect(await program.exited).toBe(0);
      expect(survivors(all)).toEqual([]);
      for (const pid of first) expect(program.err()).toMatch(new RegExp(`ends, too: .*\\(process ${pid}\\)`));
    });

    test("is killed after its grace", async () => {
      await using program = up(["-n", "1", "--grace", "100ms"], daemonApp, { STUBBORN: "1" });
      await program.says(/all 1 instances are ready behind (\S+)/);
      const all = await daemons(program, 1);
      program.signal("SIGTERM");
      expect(await program.exited).toBe(0);
      expect(survivors(all)).toEqual([]);
    });

    test("ends when `up` is killed with -9", async () => {
      await using program = up(["-n", "1", "--grace", "1s"], daemonApp, { STUBBORN: "1" });
      await program.says(/all 1 instances are ready behind (\S+)/);
      const all = await daemons(program, 1);
      program.signal("SIGKILL");
      await program.exited;
      await until("it is gone", () => survivors([...all, ...groups(program)]).length === 0);
    });
  });

  test("a port that is taken: said at once, before any instance is started", async () => {
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    await using program = up(["--port", String(taken.port)]);
    expect(await program.exited).toBe(1);
    expect(program.err()).toContain(`127.0.0.1:${taken.port}`);
    expect(groups(program)).toEqual([]);
    taken.stop(true);
  });
});

describe("output", () => {
  test("every line has its instance's name, on the stream it came from", async () => {
    await using program = up(["-n", "2"]);
    await program.says(/all 2 instances are ready/);
    program.signal("SIGTERM");
    await program.exited;
    expect(program.out()).toContain("app-1    | listening as app-1\n");
    expect(program.err()).toContain("app-2    | a word on the other stream\n");
    for (const line of program.err().trimEnd().split("\n")) expect(line).toMatch(/^(app-1   |app-2   |plimsoll) \| /);
    expect(program.out() + program.err()).not.toContain("\u001b");
  });

  test("colours where they are wanted, none with NO_COLOR", async () => {
    await using coloured = up(["-n", "1"], nodeApp, { FORCE_COLOR: "1", NO_COLOR: "" });
    await coloured.says(/all 1 instances are ready/);
    expect(coloured.out()).toContain("\u001b[36mapp-1    | \u001b[0mlistening as app-1");
    await using plain = up(["-n", "1"], nodeApp, { FORCE_COLOR: "1", NO_COLOR: "1" });
    await plain.says(/all 1 instances are ready/);
    expect(plain.out() + plain.err()).not.toContain("\u001b");
    coloured.signal("SIGTERM");
    plain.signal("SIGTERM");
    expect([await coloured.exited, await plain.exited]).toEqual([0, 0]);
  });

  test("a command in one piece is for a shell", async () => {
    await using program = up(["-n", "1"], [`EXTRA=42 '${node}' '${fixtures}/node-app.mjs'`]);
    const url = await program.says(/all 1 instances are ready behind (\S+)/);
    expect(await (await fetch(`${url}/env`)).json()).toMatchObject({ extra: "42", name: "app-1" });
    program.signal("SIGTERM");
    expect(await program.exited).toBe(0);
  });
});

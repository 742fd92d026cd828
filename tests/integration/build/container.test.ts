// Dockerfile and compose.yaml, as far as they can be held without a container engine: what they name is there, and what they run
// runs.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePort } from "@plimsoll/testbed/processes";
import { eventually } from "@plimsoll/testbed/waiting";
import { build } from "../../../tools/build.ts";
import { startProgram, type Program } from "../up/program.ts";

setDefaultTimeout(60_000);

const root = join(import.meta.dir, "../../..");
const example = join(root, "examples/container");

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

const lines = readFileSync(join(root, "Dockerfile"), "utf8").split("\n");
const instructions: readonly Instruction[] = lines
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => ({ name: line.split(" ", 1)[0] ?? "", rest: line.slice(line.indexOf(" ") + 1) }));
const all = (name: string): readonly string[] => instructions.filter((one) => one.name === name).map((one) => one.rest);
/** The last stage is the image. */
const image = instructions.slice(instructions.findLastIndex(({ name }) => name === "FROM"));
const ofImage = (name: string): string => image.find((one) => one.name === name)?.rest ?? "";
/** The words of an instruction in exec form; throws where it is none. */
const words = (text: string): readonly string[] => JSON.parse(text.slice(text.indexOf("["))) as readonly string[];

interface Service {
  readonly build?: string;
  readonly command?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: readonly string[];
  readonly ports?: readonly string[];
  readonly stop_grace_period?: string;
}
const compose = Bun.YAML.parse(readFileSync(join(example, "compose.yaml"), "utf8")) as {
  readonly services: Readonly<Record<string, Service>>;
};
const { balancer = {}, ...apps } = compose.services;

describe("the Dockerfile", () => {
  test("has instructions that exist, and the files that it copies are there and not ignored", () => {
    const known = /^(FROM|WORKDIR|COPY|RUN|USER|EXPOSE|STOPSIGNAL|HEALTHCHECK|ENTRYPOINT|CMD)$/;
    for (const { name } of instructions) expect(name).toMatch(known);
    const ignored = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
    for (const copy of all("COPY")) {
      const [first = "", ...rest] = copy.split(" ");
      if (first.startsWith("--from=")) {
        // What the build stage leaves under its WORKDIR: tools/build.ts puts it there.
        expect([first, rest[0]]).toEqual(["--from=build", `${all("WORKDIR")[0]}/dist/plimsoll`]);
        continue;
      }
      expect([first, existsSync(join(root, first))]).toEqual([first, true]);
      expect(ignored).not.toContain(first);
    }
    // What the build reads must not be ignored; what holds secrets or is large must be.
    for (const needed of ["packages", "tools", "package.json", "package-lock.json", "node_modules/x"]) {
      expect([needed, ignored.includes(needed)]).toEqual([needed, false]);
    }
    for (const unwanted of [".git", "**/node_modules", ".env"]) expect(ignored).toContain(unwanted);
  });

  test("runs what is there: each command of the build in exec form", () => {
    const runs = all("RUN").map(words);
    expect(runs.map(([program]) => program)).toEqual(["npm", "node"]);
    for (const file of runs[1]?.slice(1) ?? []) expect([file, existsSync(join(root, file))]).toEqual([file, true]);
    // Without install scripts and without development packages: nothing that the build imports may be among these.
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      readonly devDependencies: Readonly<Record<string, string>>;
    };
    const scan = new Bun.Transpiler({ loader: "ts" });
    for (const { path } of scan.scanImports(readFileSync(join(root, "tools/build.ts"), "utf8"))) {
      expect(Object.keys(manifest.devDependencies)).not.toContain(path);
    }
  });

  test("makes an image that is not root, is stopped by a signal, and has no shell in front", () => {
    const [user = "", group = ""] = ofImage("USER").split(":");
    expect([Number(user) > 0, Number(group) > 0]).toEqual([true, true]);
    expect(ofImage("STOPSIGNAL")).toBe("SIGTERM");
    expect(words(ofImage("ENTRYPOINT"))).toEqual(["plimsoll"]);
    expect(image.some(({ name, rest }) => name === "COPY" && rest.endsWith(" /usr/local/bin/plimsoll"))).toBe(true);
  });
});

describe("the example", () => {
  test("names files and services that exist, and leaves time for the drain", () => {
    expect(existsSync(join(example, balancer.build ?? "", "Dockerfile"))).toBe(true);
    for (const service of Object.values(compose.services)) {
      for (const volume of service.volumes ?? []) {
        const [from = ""] = volume.split(":");
        expect([from, statSync(join(example, from)).isFile()]).toEqual([from, true]);
      }
    }
    expect(Object.keys(apps).sort()).toEqual([...(balancer.depends_on ?? [])].sort());
    expect(Object.keys(apps)).toHaveLength(2);
    // The configuration lies where the image's command looks for it, and names the services with their ports.
    const [, mounted] = balancer.volumes?.[0]?.split(":") ?? [];
    expect(words(ofImage("CMD"))).toContain(mounted ?? "nothing");
    const text = readFileSync(join(example, "plimsoll.yaml"), "utf8");
    for (const [name, { environment }] of Object.entries(apps))
      expect(text).toContain(`${name}:${environment?.["PORT"]}`);
    const config = Bun.YAML.parse(text) as {
      readonly shutdown: Readonly<Record<"lag" | "window", string>>;
      readonly listeners: { readonly web: { readonly address: string } };
    };
    const seconds = (time = ""): number => Number(/^(\d+)s$/.exec(time)?.[1]);
    expect(seconds(balancer.stop_grace_period)).toBeGreaterThan(
      seconds(config.shutdown.lag) + seconds(config.shutdown.window),
    );
    // The port that is published is the one that is listened on and exposed.
    const port = /:-(\d+)\}/.exec(config.listeners.web.address)?.[1];
    expect([ofImage("EXPOSE"), balancer.ports?.[0]?.split(":").at(-1)]).toEqual([port ?? "", port]);
  });
});

describe("the image's commands, without an image", () => {
  let folder = "";
  let plimsoll = "";
  const environment: Record<string, string> = {};
  const running: Program[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "image-"));
    plimsoll = (await build(join(folder, "plimsoll"))).file;
    environment["XDG_RUNTIME_DIR"] = folder;
    environment["PORT"] = String(await freePort());
    for (const [at, [name, { command = [], environment: own = {} }]] of Object.entries(apps).entries()) {
      const port = String(await freePort());
      environment[`APP_${at + 1}`] = `127.0.0.1:${port}`;
      const file = join(example, (apps[name]?.volumes?.[0] ?? "").split(":")[0] ?? "");
      expect(command).toEqual(["node", expect.stringMatching(/^\/app\/.+/)]);
      const node = Bun.which(command[0] ?? "") ?? "node";
      running.push(startProgram([file], { command: [node], cwd: dirname(file), env: { ...own, PORT: port } }));
    }
    for (const [at, name] of Object.keys(apps).entries())
      await running[at]?.says(new RegExp(`^${name} listens on`, "m"));
  });

  afterAll(async () => {
    for (const one of running) {
      one.signal("SIGTERM");
      // In order: its readiness first, then its end.
      expect(await one.exited).toBe(0);
    }
    rmSync(folder, { recursive: true });
  });

  /** ENTRYPOINT and what follows it, with the mounted configuration where it lies here. */
  function start(args: readonly string[]): Program {
    const [, mounted = ""] = balancer.volumes?.[0]?.split(":") ?? [];
    const there = args.map((one) => (one === mounted ? join(example, "plimsoll.yaml") : one));
    return startProgram(there, { command: [plimsoll], cwd: folder, env: environment });
  }

  async function healthy(): Promise<number | null> {
    const [first, ...rest] = words(ofImage("HEALTHCHECK"));
    expect(first).toBe("plimsoll");
    await using check = start(rest);
    return await check.exited;
  }

  test("the configuration has no problem", async () => {
    const [, flag = "", file = ""] = words(ofImage("CMD"));
    await using check = start(["check", flag, file]);
    expect(await check.exited).toBe(0);
    expect(check.out()).toContain("can be run: no errors, no warnings");
  });

  test("it runs before both instances, is healthy, turns unhealthy when it stops, and ends with 0", async () => {
    expect(await healthy()).toBe(1);
    await using program = start(words(ofImage("CMD")));
    await program.says(/^web (http:\S+)$/m);
    const url = `http://127.0.0.1:${environment["PORT"]}/`;
    const seen = new Set<string>();
    await eventually("both instances answer", async () => {
      const answer = await fetch(url);
      seen.add((await answer.text()).trim());
      return Object.keys(apps).every((name) => seen.has(name));
    });
    expect(await healthy()).toBe(0);
    program.signal(ofImage("STOPSIGNAL") as NodeJS.Signals);
    // For as long as it still answers, it says that it wants no more traffic.
    await eventually("the health check fails", async () => (await healthy()) === 1);
    expect(await program.exited).toBe(0);
  });
});

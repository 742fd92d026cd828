// What npm would publish: packed, unpacked into an empty folder beside what it depends on, and run from there by Node.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { startProgram, type Program } from "../up/program.ts";

setDefaultTimeout(60_000);

const root = join(import.meta.dir, "../../..");
const names = ["@plimsoll/wire", "@plimsoll/balancer", "plimsoll"] as const;

interface Manifest {
  readonly version: string;
  readonly private?: boolean;
  readonly license: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

let folder = "";
let modules = "";
const files = new Map<string, readonly string[]>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "packed-"));
  modules = join(folder, "node_modules");
  const only = names.flatMap((name) => ["-w", name]);
  const pack = Bun.spawn(["npm", "pack", ...only, "--json", "--loglevel=error", `--pack-destination=${folder}`], {
    cwd: root,
    // Its cache and log would be left behind.
    env: { ...process.env, npm_config_cache: join(folder, "npm"), npm_config_update_notifier: "false" },
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await pack.stdout.text();
  expect(await pack.exited).toBe(0);
  for (const { name, filename, files: packed } of JSON.parse(text) as {
    readonly name: string;
    readonly filename: string;
    readonly files: readonly { readonly path: string }[];
  }[]) {
    files.set(
      name,
      packed.map(({ path }) => path),
    );
    mkdirSync(join(modules, name), { recursive: true });
    const tar = ["tar", "-xzf", join(folder, filename), "-C", join(modules, name), "--strip-components=1"];
    expect(Bun.spawnSync(tar).exitCode).toBe(0);
  }
  // What they depend on is what an install would bring, and nothing else is there.
  const foreign = names.flatMap((name) => Object.keys(manifest(name).dependencies ?? {}));
  for (const name of foreign.filter((one) => !names.includes(one as never))) link(name);
  // Bun's binary is in a package of its own, which `bun` depends on.
  link("@oven");
  mkdirSync(join(modules, ".bin"));
  for (const [command, file] of Object.entries(manifest("plimsoll").bin ?? {})) {
    symlinkSync(join("../plimsoll", file), join(modules, ".bin", command));
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function manifest(name: string): Manifest {
  return JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8")) as Manifest;
}

function link(name: string): void {
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(join(root, "node_modules", name), join(modules, name));
}

function start(...args: readonly string[]): Program {
  const command = [Bun.which("node") ?? "node", join(modules, ".bin/plimsoll")];
  return startProgram(args, { command, cwd: folder, env: { XDG_RUNTIME_DIR: folder } });
}

async function call(...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  await using program = start(...args);
  return { code: await program.exited, out: program.out(), err: program.err() };
}

describe("the packages", () => {
  test("can be published, each with its licence and a word about itself", () => {
    expect([...files.keys()].sort()).toEqual([...names].sort());
    for (const name of names) {
      expect([name, manifest(name).private, manifest(name).license]).toEqual([name, undefined, "Apache-2.0"]);
      expect(files.get(name)).toContain("LICENSE");
      expect(files.get(name)).toContain("README.md");
    }
  });

  test("depend on each other's version of the same day, and on exact versions of what is foreign", () => {
    for (const name of names) {
      for (const [other, version] of Object.entries(manifest(name).dependencies ?? {})) {
        expect(version).toMatch(/^\d+\.\d+\.\d+$/);
        if (names.includes(other as never))
          expect([name, other, version]).toEqual([name, other, manifest(other).version]);
      }
    }
  });

  test("hold no tests, and every file that one of theirs imports", () => {
    const transpiler = new Bun.Transpiler({ loader: "ts" });
    let imports = 0;
    for (const name of names) {
      for (const path of files.get(name) ?? []) {
        expect(path).not.toMatch(/\.test\.ts$|__snapshots__|golden\//);
        if (!/\.m?[tj]s$/.test(path)) continue;
        const file = join(modules, name, path);
        const code = readFileSync(file, "utf8").replace(/^#!.*/, "");
        for (const { path: wanted } of transpiler.scanImports(code)) {
          if (wanted.startsWith(".")) {
            imports++;
            expect([file, wanted, existsSync(join(dirname(file), wanted))]).toEqual([file, wanted, true]);
          } else if (!/^(node|bun)(:|$)/.test(wanted)) {
            const [scope = "", rest = ""] = wanted.split("/");
            const wantedPackage = scope.startsWith("@") ? `${scope}/${rest}` : scope;
            const known = [name, ...Object.keys(manifest(name).dependencies ?? {})];
            expect([file, wanted, known.includes(wantedPackage)]).toEqual([file, wanted, true]);
          }
        }
      }
    }
    expect(imports).toBeGreaterThan(300);
  });

  test("npx plimsoll: version, check of a TypeScript configuration, run, stop", async () => {
    expect(JSON.parse((await call("version", "--json")).out)).toMatchObject({ version: "0.1.0", bun: Bun.version });
    using origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
    writeFileSync(
      join(folder, "plimsoll.config.ts"),
      `import { defineConfig } from "plimsoll/config";
export default defineConfig({
  listeners: { web: { address: "127.0.0.1:0", routes: [{ pool: "app" }] } },
  pools: { app: { endpoints: ["127.0.0.1:${origin.port}"] } },
  admin: { address: "127.0.0.1:0" }, shutdown: { lag: "0s" }, workers: 1,
});\n`,
    );
    const checked = await call("check");
    expect([checked.code, checked.out]).toEqual([0, "plimsoll.config.ts can be run: no errors, no warnings\n"]);
    await using balancer = start("run");
    const web = await balancer.says(/^web (http:\S+)$/m);
    const admin = new URL(await balancer.says(/^admin (http:\S+)$/m)).host;
    expect(await (await fetch(web)).text()).toBe("hello");
    expect((await call("stop", "--admin", admin)).code).toBe(0);
    expect(await balancer.exited).toBe(0);
  });

  test("npx plimsoll demo: the shop is in the package", async () => {
    await using demo = start("demo", "--port", "0");
    const url = await demo.says(/The shop is open: (\S+)/);
    expect(await (await fetch(url)).text()).toContain("The Chandlery");
    demo.signal("SIGTERM");
    expect(await demo.exited).toBe(0);
  });
});

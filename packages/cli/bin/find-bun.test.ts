import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

// Plain JavaScript without types, because it runs before anything is there that could check them.
interface FindBun {
  readonly wantedVersion: string;
  platformPackages(platform: string, arch: string, musl: boolean): string[];
  candidates(from: string, searchPath: string, platform?: string, arch?: string, musl?: boolean): string[];
  firstProgram(paths: readonly string[]): string | null;
}
const path = join(import.meta.dir, "find-bun.mjs");
const { wantedVersion, platformPackages, candidates, firstProgram } = (await import(path)) as FindBun;

const folder = mkdtempSync(join(tmpdir(), "find-bun-"));
afterAll(() => rmSync(folder, { recursive: true }));

function place(name: string, content: string | null): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  if (content === null) symlinkSync(process.execPath, file);
  else writeFileSync(file, content);
  if (content !== null) chmodSync(file, 0o755);
  return file;
}

test("the version wanted is the one that runs the tests", () => {
  expect(wantedVersion).toBe(Bun.version);
});

describe("platform packages", () => {
  test("the machine's own libc first, the other after it", () => {
    expect(platformPackages("linux", "x64", false)).toEqual([
      "bun-linux-x64",
      "bun-linux-x64-baseline",
      "bun-linux-x64-musl",
      "bun-linux-x64-musl-baseline",
    ]);
    expect(platformPackages("linux", "arm64", true)[0]).toBe("bun-linux-aarch64-musl");
    expect(platformPackages("darwin", "arm64", false)[0]).toBe("bun-darwin-aarch64");
    expect(platformPackages("win32", "x64", false)[0]).toBe("bun-windows-x64");
  });
});

describe("candidates", () => {
  test("from the package's own folder upwards, then the PATH", () => {
    const found = candidates("/a/node_modules/plimsoll/bin", "/usr/bin:/opt/bin", "linux", "x64", false);
    const at = (text: string): number => found.indexOf(text);
    expect(at("/a/node_modules/plimsoll/node_modules/@oven/bun-linux-x64/bin/bun")).toBeGreaterThanOrEqual(0);
    expect(at("/a/node_modules/plimsoll/node_modules/bun/bin/bun.exe")).toBeLessThan(
      at("/a/node_modules/@oven/bun-linux-x64/bin/bun"),
    );
    expect(at("/a/node_modules/@oven/bun-linux-x64/bin/bun")).toBeLessThan(at("/a/node_modules/bun/bin/bun.exe"));
    expect(found.slice(-2)).toEqual(["/usr/bin/bun", "/opt/bin/bun"]);
  });

  test("an install without scripts: the placeholder is passed over, the platform package is taken", () => {
    const placeholder = place(
      "node_modules/bun/bin/bun.exe",
      'echo "Error: the postinstall script was not run" >&2\nexit 1\n',
    );
    expect(firstProgram([placeholder])).toBeNull();
    place("node_modules/@oven/bun-linux-x64/bin/bun", null);
    const from = join(folder, "node_modules/plimsoll/bin");
    expect(firstProgram(candidates(from, "", "linux", "x64", false))).toBe(realpathSync(process.execPath));
  });

  test("nothing there: null", () => {
    expect(firstProgram([join(folder, "nowhere/bun"), folder])).toBeNull();
  });
});

import { describe, expect, test } from "bun:test";
import { join } from "node:path";

// Plain JavaScript without types, because it runs before anything is there that could check them.
interface BunFinder {
  candidates(platform: string, arch: string, glibc: string | undefined): string[];
  findBun(): string | undefined;
}
const { candidates, findBun } = (await import(join(import.meta.dir, "bun.mjs"))) as BunFinder;
const { platformPackages } = (await import(join(import.meta.dir, "../packages/cli/bin/find-bun.mjs"))) as {
  platformPackages(platform: string, arch: string, musl: boolean): string[];
};

describe("which of Bun's binaries runs this repository", () => {
  test("the one that runs the tests is found", () => {
    expect(findBun()).toBeDefined();
  });

  test.each([
    ["linux", "x64", "2.36", "bun-linux-x64"],
    ["linux", "x64", undefined, "bun-linux-x64-musl"],
    ["linux", "arm64", "2.41", "bun-linux-aarch64"],
    ["linux", "arm64", undefined, "bun-linux-aarch64-musl"],
    ["darwin", "arm64", undefined, "bun-darwin-aarch64"],
    ["win32", "x64", undefined, "bun-windows-x64"],
  ])("%s on %s with glibc %p: %s", (platform, arch, glibc, best) => {
    expect(candidates(platform, arch, glibc)[0]).toBe(best);
    // As the published launcher chooses it.
    expect(candidates(platform, arch, glibc)).toEqual(platformPackages(platform, arch, glibc === undefined));
  });

  test("every one of them is a package that Bun's own depends on", async () => {
    const lock = (await Bun.file(join(import.meta.dir, "../package-lock.json")).json()) as {
      readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>;
    };
    const known = Object.keys(lock.packages["node_modules/bun"]?.optionalDependencies ?? {});
    for (const arch of ["x64", "arm64"]) {
      for (const glibc of ["2.36", undefined]) expect(known).toContain(`@oven/${candidates("linux", arch, glibc)[0]}`);
    }
  });
});

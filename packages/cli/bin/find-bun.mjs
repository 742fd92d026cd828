// Finds the Bun binary that runs the program. Plain JavaScript for any Node from 18 on, because it runs before Bun does.
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** The Bun version this program is written and tested for, from package.json. */
export const wantedVersion = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).dependencies
  .bun;

/**
 * Names of the packages that can hold the binary, best first. The same list as Bun's own installer has: "baseline" is for
 * x64 processors without AVX2, "musl" for Alpine.
 * @param {string} platform as process.platform
 * @param {string} arch as process.arch
 * @param {boolean} musl
 * @returns {string[]}
 */
export function platformPackages(platform, arch, musl) {
  const os = platform === "win32" ? "windows" : platform;
  const cpu = arch === "arm64" ? "aarch64" : arch;
  const plain = [`bun-${os}-${cpu}`, `bun-${os}-${cpu}-baseline`];
  const onMusl = [`bun-${os}-${cpu}-musl`, `bun-${os}-${cpu}-musl-baseline`];
  if (platform !== "linux") return plain;
  return musl ? [...onMusl, ...plain] : [...plain, ...onMusl];
}

/**
 * Paths where the binary may lie, best first. Where npm ran the install scripts, Bun's own has moved the binary from its
 * platform package into the package "bun"; where it did not (`--ignore-scripts`), it still lies in the platform package
 * and the one in "bun" is a placeholder of a few hundred bytes.
 * @param {string} from a folder inside this package
 * @param {string} searchPath as process.env.PATH
 * @returns {string[]}
 */
export function candidates(from, searchPath, platform = process.platform, arch = process.arch, musl = runsOnMusl()) {
  const exe = platform === "win32" ? "bun.exe" : "bun";
  const found = [];
  for (let folder = from; ; folder = dirname(folder)) {
    const modules = join(folder, "node_modules");
    for (const name of platformPackages(platform, arch, musl)) found.push(join(modules, "@oven", name, "bin", exe));
    found.push(join(modules, "bun", "bin", "bun.exe"));
    if (dirname(folder) === folder) break;
  }
  for (const folder of searchPath.split(delimiter)) if (folder !== "") found.push(join(folder, exe));
  return found;
}

/**
 * The first candidate that is a real program, links resolved.
 * @param {string[]} paths
 * @returns {string | null}
 */
export function firstProgram(paths) {
  for (const path of paths) if (existsSync(path) && isProgram(path)) return realpathSync(path);
  return null;
}

/** Whether the file begins like an executable (ELF, Mach-O, PE) and not like the installer's placeholder script. */
function isProgram(path) {
  const head = Buffer.alloc(4);
  try {
    const fd = openSync(path, "r");
    try {
      readSync(fd, head, 0, 4, 0);
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
  const magic = head.readUInt32BE(0);
  return magic === 0x7f454c46 || magic === 0xcffaedfe || magic === 0xcafebabe || magic >>> 16 === 0x4d5a;
}

function runsOnMusl() {
  if (process.platform !== "linux") return false;
  try {
    return readdirSync("/lib").some((name) => name.startsWith("ld-musl-"));
  } catch {
    return false;
  }
}

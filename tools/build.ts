// `npm run build`: the whole program as one executable, dist/plimsoll, for machines that have neither Node nor Bun. Which parts
// of it run as processes of their own, and how they are started from one file, is in packages/cli/src/own-parts.ts.
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join, relative } from "node:path";
import manifest from "../packages/cli/package.json" with { type: "json" };

const root = join(import.meta.dir, "..");

/** What was built. */
export interface Built {
  readonly file: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * Builds the executable for a platform: `bun-linux-x64`, `bun-linux-arm64`, both also with `-musl`; without one, for this
 * machine. Another platform's runtime is fetched by Bun from where npm packages come from. Throws what the bundler says.
 */
export async function build(file: string, target?: string): Promise<Built> {
  // Written beside it and moved there: an executable that runs cannot be written over. Under its own name, which is in it.
  const place = `${file}.new`;
  const fresh = join(place, basename(file));
  mkdirSync(place, { recursive: true });
  const result = await Bun.build({
    entrypoints: [join(root, "packages/cli/src/main.ts")],
    minify: { whitespace: true, syntax: true, identifiers: false },
    // So that a stack trace names our files and lines.
    sourcemap: "linked",
    compile: {
      outfile: fresh,
      ...(target === undefined ? {} : { target: target as Bun.Build.CompileTarget }),
      // As bin/plimsoll.mjs does: the folder in which it is called belongs to the user's application. What a configuration
      // imports must be there; nothing is fetched from anywhere.
      autoloadDotenv: false,
      autoloadBunfig: false,
      execArgv: ["--no-install"],
    },
  });
  if (!result.success || !existsSync(fresh)) {
    rmSync(place, { recursive: true });
    throw new Error(["The executable could not be built.", ...result.logs.map(String)].join("\n"));
  }
  renameSync(fresh, file);
  rmSync(place, { recursive: true });
  return { file, size: statSync(file).size };
}

if (import.meta.main) {
  const [target] = process.argv.slice(2);
  const started = performance.now();
  const { file, size } = await build(
    join(root, "dist", target === undefined ? "plimsoll" : `plimsoll-${target.replace(/^bun-/, "")}`),
    target,
  );
  const place = relative(process.cwd(), file);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `${place}: plimsoll ${manifest.version} on Bun ${Bun.version}, ${(size / 1024 ** 2).toFixed(1)} MiB, built in ${seconds} s`,
  );
  console.log(`It needs nothing beside it. Try: ${place} demo`);
}

// Finds and reads the configuration that a command means.
import { existsSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { Explanation } from "@plimsoll/balancer/src/config/hierarchy/explain.ts";
import type { Loaded } from "@plimsoll/balancer/src/config/load.ts";
import type { Plan } from "@plimsoll/balancer/src/config/plan.ts";
import { renderProblems, type Problem } from "@plimsoll/balancer/src/config/problem.ts";
import { readModule } from "./read-module.ts";
import { CommandError, UsageError, type Io, type OptionSpec } from "./spec.ts";

/** Tried in this order where -c is not given. */
const defaultFiles = ["plimsoll.yaml", "plimsoll.config.ts"] as const;

export const configOption: OptionSpec = {
  flags: "-c, --config <file>",
  about: `configuration; by default ${defaultFiles.join(" or ")} in this folder`,
  complete: "file",
};

/** A configuration that was read: the plan, or what is wrong. */
export interface ReadConfig {
  /** As the user named it. */
  readonly file: string;
  /** null when there are errors. */
  readonly plan: Plan | null;
  /** Errors and warnings, by place. */
  readonly problems: readonly Problem[];
  /** The problems as text for a terminal, with the lines that they are about; "" when there are none. */
  readonly report: string;
  /** The timeout hierarchy; absent when nothing could be read. */
  readonly explain?: () => Explanation;
}

/** The file that `given` or its absence means; a UsageError when there is none. */
export function findConfig(io: Io, given: string | undefined): string {
  if (given !== undefined) {
    if (!existsSync(inFolder(io, given))) throw new UsageError(`There is no file ${given}.`);
    return given;
  }
  const found = defaultFiles.find((name) => existsSync(inFolder(io, name)));
  if (found === undefined) {
    throw new UsageError(`There is no ${defaultFiles.join(" and no ")} in ${io.cwd}; name a file with -c.`);
  }
  return found;
}

/** Reads, checks and plans a file, YAML or TypeScript. */
export async function readConfig(io: Io, file: string): Promise<ReadConfig> {
  // Here and not above, because these modules are most of what a start costs, and other commands do without.
  const { disk } = await import("@plimsoll/balancer/src/config/disk.ts");
  const path = inFolder(io, file);
  if (/\.[cm]?[jt]s$/.test(file)) {
    const { loadObject, notLoaded } = await import("@plimsoll/balancer/src/config/module.ts");
    const read = await readModule(path, io.cwd, io.env);
    if (read.kind === "value") return toReadConfig(file, loadObject(read.value, path, disk), "");
    const text = read.failure.file === path ? readFileSync(path, "utf8") : "";
    return toReadConfig(file, notLoaded(read.failure, path), text);
  }
  const { loadConfig } = await import("@plimsoll/balancer/src/config/load.ts");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${(error as Error).message}`);
  }
  return toReadConfig(file, loadConfig({ text, file }, io.env, disk), text);
}

function toReadConfig(file: string, loaded: Loaded, text: string): ReadConfig {
  const problems = "plan" in loaded ? loaded.warnings : loaded.problems;
  const report = problems.length === 0 ? "" : renderProblems(problems, text);
  const { explain } = loaded;
  return { file, plan: "plan" in loaded ? loaded.plan : null, problems, report, ...(explain && { explain }) };
}

function inFolder(io: Io, file: string): string {
  return isAbsolute(file) ? file : join(io.cwd, file);
}

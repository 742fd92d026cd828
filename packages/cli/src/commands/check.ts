// `plimsoll check`
import type { Ladder } from "@plimsoll/balancer/src/config/hierarchy/ladder.ts";
import { configOption, findConfig, readConfig, type ReadConfig } from "../config-file.ts";
import { exitCode, type CommandSpec, type Io } from "../spec.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
  readonly explain?: boolean;
}

export const check: CommandSpec<Options> = {
  name: "check",
  summary: "check a configuration without running it",
  about: "Reports every error and warning at its place. Exit code 0: it can be run; 1: it has errors; 2: wrong usage.",
  options: [
    configOption,
    {
      flags: "--explain",
      about: "draw the timeout hierarchy: each rung, where it comes from, what it leaves to spare",
    },
    { flags: "--json", about: "print JSON" },
  ],
  examples: [
    ["plimsoll check", "plimsoll.yaml in this folder"],
    ["plimsoll check --explain", "and which timeout must outlast which"],
    ["plimsoll check -c site.yaml --json", "for an editor or a pipeline"],
  ],
  async run({ options, io }) {
    const config = await readConfig(io, findConfig(io, options.config));
    const errors = config.problems.filter((problem) => problem.severity === "error").length;
    const warnings = config.problems.length - errors;
    if (options.json === true) {
      const hierarchy = options.explain === true ? (config.explain?.() ?? null) : undefined;
      const { file, plan, problems } = config;
      io.out(`${JSON.stringify({ file, ok: plan !== null, errors, warnings, problems, hierarchy })}\n`);
    } else {
      if (config.report !== "") io.out(`${config.report}\n`);
      if (options.explain === true) await explain(io, config);
      const verdict = config.plan === null ? "cannot be run" : "can be run";
      io.out(`${config.file} ${verdict}: ${count(errors, "error")}, ${count(warnings, "warning")}\n`);
    }
    return config.plan === null ? exitCode.failed : exitCode.ok;
  },
};

/** Ladders that are drawn. */
const mostLadders = 50;

function isBroken({ sections }: Ladder): boolean {
  return sections.some(({ rungs }) => rungs.some(({ state }) => state === "broken" || state === "tight"));
}

async function explain(io: Io, config: ReadConfig): Promise<void> {
  const { drawLadder } = await import("../ladder-text.ts");
  const explanation = config.explain?.();
  if (explanation === undefined) {
    io.out("There is no timeout hierarchy to show: too little of the file could be read.\n\n");
    return;
  }
  const { ladders, together } = explanation;
  // Those that are broken first, because of several thousand nobody reads all.
  const sorted = [...ladders.filter(isBroken), ...ladders.filter((ladder) => !isBroken(ladder))];
  for (const ladder of sorted.slice(0, mostLadders)) io.out(`${drawLadder(ladder, io.columns)}\n`);
  const rest = sorted.slice(mostLadders);
  if (rest.length > 0) {
    const broken = rest.filter(isBroken).length;
    io.out(`... and ${rest.length} more, ${broken === 0 ? "none" : broken} of them broken; --json has them all\n\n`);
  }
  if (together === null || together.length === 0) return;
  const lines = together.map(({ path, value }) => `  ${path}: ${value}\n`);
  io.out(`With these values, all together, every rung outlasts the one below it:\n${lines.join("")}\n`);
}

function count(number: number, what: string): string {
  return `${number === 0 ? "no" : number} ${what}${number === 1 ? "" : "s"}`;
}

// `npm run story`: what happens to an application's requests while its endpoints come, go and fail, here and with nginx and
// HAProxy in the same run. Writes bench/results/story.md; a run that is not the whole thing writes into bench/results/raw/.
import { mkdirSync } from "node:fs";
import { availableParallelism, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { takeTurn } from "../turn.ts";
import { balancers } from "./balancers/table.ts";
import { chapters } from "./chapters/table.ts";
import { reportText, type Told } from "./report.ts";
import { clearAway } from "./stage.ts";

const usage = `npm run story -- [options]
  --only a,b       chapters, by name or number:
${chapters.map((one, at) => `                     ${at + 1} ${one.name} (${one.takes})`).join("\n")}
  --quick          everything small and short: shows that it works, measures nothing
  --help           this`;

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { only: { type: "string" }, quick: { type: "boolean", default: false }, help: { type: "boolean" } },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const wanted = values.only?.split(",");
  const named = (name: string): number => chapters.findIndex((one, at) => one.name === name || String(at + 1) === name);
  const unknown = wanted?.find((name) => named(name) < 0);
  if (unknown !== undefined) {
    console.log(`No such chapter: ${unknown}\n${usage}`);
    return 2;
  }
  const picked = wanted ? chapters.filter((_, at) => wanted.some((name) => named(name) === at)) : chapters;
  if (!Bun.which("node")) {
    console.error("The story's instances are Node processes: it needs node.");
    return 3;
  }
  const looked = await Promise.all(balancers.map(async (kind) => ({ kind, version: await kind.find() })));
  const found = looked.filter(({ version }) => version !== undefined);
  for (const { kind, version } of looked) {
    if (version === undefined) console.log(`missing: ${kind.name} (apt-get install ${kind.name})`);
  }
  const versions = Object.fromEntries(found.map(({ kind, version }) => [kind.name, version ?? ""]));
  const endTurn = await takeTurn(() => console.log("waiting: another measurement runs on this machine"));
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, () => {
      clearAway();
      process.exit(code);
    });
  }
  const told: Told[] = [];
  try {
    for (const chapter of picked) {
      console.log(chapter.title);
      const kinds = found.map(({ kind }) => kind);
      const outcome = await chapter
        .run(kinds, values.quick ? "quick" : "full", (text) => console.log(text.trimEnd()))
        .then((lines) => ({ lines, problem: undefined }))
        .catch((error: unknown) => ({ lines: [], problem: messageOf(error) }));
      told.push({ chapter, ...outcome });
    }
  } finally {
    await endTurn();
  }
  const above = [
    `Made by \`npm run story${args.length > 0 ? ` -- ${args.join(" ")}` : ""}\` on ${new Date().toISOString().slice(0, 10)}; ` +
      `${availableParallelism()} cores, Linux ${release()}, Node ${nodeVersion()}.`,
    "All balancers stand before the same instances at the same time, with one worker or thread each, and their best configuration that",
    "we know: `bench/story/balancers/`. nginx (open source) has no readiness probes and no drain; its upstream keep-alive is set by hand.",
    "A request that meets the closing of its kept connection counts as failed: browsers repeat a GET then, most other clients tell.",
  ];
  const text = reportText(above, versions, told);
  const whole = !values.quick && wanted === undefined;
  const folder = join(import.meta.dir, "../results", whole ? "" : "raw");
  mkdirSync(folder, { recursive: true });
  await Bun.write(join(folder, "story.md"), text);
  console.log(`\n${text}\nWritten to bench/results/${whole ? "" : "raw/"}story.md`);
  return told.some(({ problem }) => problem !== undefined) ? 1 : 0;
}

/** All of it to the terminal, its beginning into the report. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  console.error(text);
  return text.split("\n").slice(0, 4).join(" | ");
}

function nodeVersion(): string {
  return Bun.spawnSync(["node", "--version"]).stdout.toString().trim();
}

process.exit(await main(process.argv.slice(2)));

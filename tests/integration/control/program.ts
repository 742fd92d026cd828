// The balancer as a program of its own, for the tests of its processes: reads the configuration file it is given, tells
// on its standard error what happens, exits as the supervisor says.
import { readFileSync } from "node:fs";
import { disk, loadConfig } from "../../../packages/balancer/src/config/index.ts";
import { runBalancer } from "../../../packages/balancer/src/admin/serve.ts";
import { createLog } from "../../../packages/balancer/src/observe/log.ts";

const [file = "", stuckAfter = "10", worker = ""] = process.argv.slice(2);
const load = () => loadConfig({ text: readFileSync(file, "utf8"), file }, process.env, disk);
const loaded = load();
if (!("plan" in loaded)) throw new Error(JSON.stringify(loaded.problems));

try {
  const supervisor = await runBalancer({
    plan: loaded.plan,
    version: "test",
    reloadPlan: () => Promise.resolve(load()),
    log: createLog({
      format: "json",
      level: "debug",
      write: (line) => process.stderr.write(line),
      wall: () => Date.now(),
    }),
    stuckAfter: Number(stuckAfter),
    ...(worker === "" ? {} : { workerCommand: [process.execPath, worker] }),
  });
  process.exit(await supervisor.stopped);
} catch (error) {
  process.stderr.write(`${JSON.stringify({ event: "start.failed", text: (error as Error).message })}\n`);
  process.exit(1);
}

// The balancer as a program of its own, for the tests of its processes: reads the configuration file it is given, tells
// on its standard error what happens, exits as the supervisor says.
import { readFileSync } from "node:fs";
import { disk, loadConfig } from "../../../packages/balancer/src/config/index.ts";
import { runBalancer } from "../../../packages/balancer/src/admin/serve.ts";
import { Predecessor } from "../../../packages/balancer/src/control/handover/predecessor.ts";
import { takeActivation } from "../../../packages/balancer/src/control/service/activation.ts";
import { systemTimers } from "../../../packages/balancer/src/net/clock.ts";
import { createLog } from "../../../packages/balancer/src/observe/log.ts";

const activation = takeActivation(process.env, process.pid);
// As the command does: an upgrade starts this program again, with the same arguments.
const predecessor = Predecessor.meet(process.env, "test", systemTimers);
const [file = "", stuckAfter = "10", worker = ""] = process.argv.slice(2);
const load = () => loadConfig({ text: readFileSync(file, "utf8"), file }, process.env, disk);
const loaded = load();
if (!("plan" in loaded)) {
  predecessor?.failed("the configuration has errors");
  throw new Error(JSON.stringify(loaded.problems));
}
const given = await predecessor?.given();
if (given !== undefined && "problem" in given) throw new Error(given.problem);

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
    activation,
    again: {
      command: (binary) => [
        ...(binary === null ? [process.execPath, import.meta.path] : [binary]),
        ...process.argv.slice(2),
      ],
    },
    ...(given === undefined || predecessor === null ? {} : { inherited: { predecessor, given } }),
    ...(worker === "" ? {} : { workerCommand: [process.execPath, worker] }),
  });
  process.exit(await supervisor.stopped);
} catch (error) {
  process.stderr.write(`${JSON.stringify({ event: "start.failed", text: (error as Error).message })}\n`);
  process.exit(1);
}

// A worker of a version that takes its time to come up.
import { runWorker } from "../../../packages/balancer/src/control/worker.ts";
import { createEngine } from "../../../packages/balancer/src/proxy/engine.ts";

await Bun.sleep(1_500);
runWorker(createEngine);

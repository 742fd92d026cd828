// A worker of a version that is half broken: the first of them works, the second exits as soon as it is to build anything.
import { runWorker } from "../../../packages/balancer/src/control/worker.ts";
import { createEngine } from "../../../packages/balancer/src/proxy/engine.ts";

runWorker((options) => {
  if (options.row === 1) process.exit(9);
  return createEngine(options);
});

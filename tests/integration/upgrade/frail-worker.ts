// A worker of a version that does not last: it begins to serve, and exits soon after.
import { runWorker } from "../../../packages/balancer/src/control/worker.ts";
import { createEngine } from "../../../packages/balancer/src/proxy/engine.ts";

runWorker((options) => {
  const engine = createEngine(options);
  return {
    ...engine,
    get open() {
      return engine.open;
    },
    get busy() {
      return engine.busy;
    },
    listen(name, fd, address) {
      setTimeout(() => process.exit(9), 200);
      return engine.listen(name, fd, address);
    },
  };
});

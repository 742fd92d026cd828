// A worker whose engine is the real one, but that does as a route's name says while it prepares: "refuse" in one worker of
// two, "die" in every one.
import { runWorker } from "../../../packages/balancer/src/control/worker.ts";
import { createEngine } from "../../../packages/balancer/src/proxy/engine.ts";

runWorker((options) => {
  const engine = createEngine(options);
  return {
    listen: (name, fd, address) => engine.listen(name, fd, address),
    tick: (now) => engine.tick(now),
    announceStop: () => engine.announceStop(),
    stop: (window) => engine.stop(window),
    get busy() {
      return engine.busy;
    },
    prepare(plan) {
      const routes = plan.listeners.flatMap((listener) => listener.routes.map((route) => route.name));
      if (routes.includes("die")) process.exit(9);
      if (routes.includes("refuse") && options.row === 1) return { problem: "worker 1 does not want to" };
      return engine.prepare(plan);
    },
  };
});

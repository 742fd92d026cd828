// A worker whose engine is the real one, but that does as a route's name says while it prepares: "refuse" in one worker of
// two, "die" in every one, "slowly" in worker 0 waits for a file called "go" in the program's runtime folder.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { runWorker } from "../../../packages/balancer/src/control/worker.ts";
import { createEngine } from "../../../packages/balancer/src/proxy/engine.ts";

runWorker((options) => {
  const engine = createEngine(options);
  return {
    listen: (name, fd, address) => engine.listen(name, fd, address),
    tick: (now) => engine.tick(now),
    announceStop: () => engine.announceStop(),
    stop: (window, replaced) => engine.stop(window, replaced),
    shed: () => engine.shed(),
    get busy() {
      return engine.busy;
    },
    get open() {
      return engine.open;
    },
    prepare(plan) {
      const routes = plan.listeners.flatMap((listener) => listener.routes.map((route) => route.name));
      if (routes.includes("die")) process.exit(9);
      if (routes.includes("refuse") && options.row === 1) return { problem: "worker 1 does not want to" };
      if (routes.includes("slowly") && options.row === 0) waitForGo();
      return engine.prepare(plan);
    },
  };
});

/** Stands still, as a worker does that builds something large. */
function waitForGo(): void {
  process.stderr.write(`${JSON.stringify({ event: "picky.preparing", text: "", level: "info" })}\n`);
  while (!existsSync(join(process.env["XDG_RUNTIME_DIR"] ?? "", "go"))) Bun.sleepSync(5);
}

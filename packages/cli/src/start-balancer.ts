// Starts the balancer with everything that the command brings along: version, admin API, workers.
import { runBalancer } from "@plimsoll/balancer/src/admin/serve.ts";
import { StartError, type Supervisor, type SupervisorOptions } from "@plimsoll/balancer/src/control/supervisor.ts";
import { workerCommand } from "./own-parts.ts";
import { CommandError } from "./spec.ts";
import { terminalClosed } from "./terminal.ts";
import { versionFacts } from "./version.ts";

export type BalancerOptions = Pick<
  SupervisorOptions,
  "plan" | "log" | "reloadPlan" | "onHangup" | "again" | "inherited" | "activation"
>;

/** Resolves when all workers serve; a CommandError says why they cannot. A closed terminal stops the balancer. */
export async function startBalancer(options: BalancerOptions): Promise<Supervisor> {
  let running: Supervisor | null = null;
  const hangup = options.onHangup ?? (() => void running?.reload());
  try {
    running = await runBalancer({
      ...options,
      version: versionFacts().version,
      workerCommand: workerCommand(),
      onHangup: () => {
        if (terminalClosed()) void running?.stop("the terminal was closed");
        else hangup();
      },
    });
    return running;
  } catch (error) {
    if (error instanceof StartError) throw new CommandError(error.message);
    throw error;
  }
}

// Settings of retries that are not what they are by default, and still do nothing.
import { formatDuration } from "../../base/units.ts";
import type { PoolTimeouts, RetryPlan } from "../../pool/plan.ts";
import { warning, type Finding, type Path } from "../problem.ts";
import type { RetryConfig } from "../schema/retry.ts";
import type { Meant } from "./meant.ts";

export function checkRetries({ config, plan }: Meant): Finding[] {
  const findings: Finding[] = [];
  for (const { pool } of plan.pools) {
    const written = config.pools[pool.name]?.retry;
    if (written !== undefined)
      findings.push(...judge(written, pool.retry, pool.timeouts, ["pools", pool.name, "retry"]));
  }
  for (const listener of plan.listeners) {
    for (const [index, route] of listener.routes.entries()) {
      const written = config.listeners[listener.name]?.routes[index];
      if (written?.retry === undefined || route.retry === null) continue;
      const pool = plan.pools.find((one) => one.pool.name === written.pool)?.pool;
      const timeouts = { ...pool?.timeouts, ...route.timeouts };
      findings.push(
        ...judge(written.retry, route.retry, timeouts, ["listeners", listener.name, "routes", index, "retry"]),
      );
    }
  }
  return findings;
}

/** `written` is what stands there, `retry` and `timeouts` what comes of it. */
function judge(written: RetryConfig, retry: RetryPlan, timeouts: Partial<PoolTimeouts>, path: Path): Finding[] {
  const { attempts, hedge } = retry;
  if (attempts === 1) {
    const idle = (["budget", "on", "idempotencyKey", "hedge"] as const).filter((key) => isAsked(written[key]));
    return idle.map((key) =>
      warning(
        [...path, key],
        `there is one try only (attempts: 1), so "${key}" has no effect`,
        `write attempts: 2, or remove ${key}`,
      ),
    );
  }
  const { perTry = 0, firstByte = 0 } = timeouts;
  const [least, name] = perTry > 0 && perTry <= firstByte ? [perTry, "perTry"] : [firstByte, "firstByte"];
  if (written.hedge === undefined || hedge === 0 || least === 0 || hedge < least) return [];
  return [
    warning(
      [...path, "hedge"],
      `the first try is over (${name}: ${formatDuration(least)}) before a hedge would begin (${formatDuration(hedge)})`,
      "hedge near the time within which 95% of answers begin",
    ),
  ];
}

/** Off is never without effect. */
function isAsked(value: unknown): boolean {
  return value !== undefined && value !== false && value !== 0;
}

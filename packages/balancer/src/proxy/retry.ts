// Whether a failed try may be followed by another (docs/retries.md): by what the register says of the fault, by what the
// route retries, by whether the request is safe to repeat, and by whether there is all of it to send.
import { Method } from "@plimsoll/wire/http1";
import { type FaultCode, faults } from "../base/fault.ts";
import type { RetryPlan } from "../pool/plan.ts";

/** What a route retries, folded from its plan. */
export interface RetryRules {
  /** Tries in all. */
  readonly attempts: number;
  /** Retries as a share of requests. */
  readonly budget: number;
  readonly connect: boolean;
  readonly reset: boolean;
  readonly timeout: boolean;
  /** Statuses of answers that are tried again; null = none. */
  readonly statuses: readonly number[] | null;
  readonly idempotencyKey: boolean;
  /** Ms after which a second try begins beside the first; 0 = never. */
  readonly hedge: number;
}

export function foldRetry(plan: RetryPlan): RetryRules {
  const { attempts, budget, on, idempotencyKey, hedge } = plan;
  const statuses = on.filter((one) => typeof one === "number");
  return {
    attempts,
    budget,
    connect: on.includes("connect"),
    reset: on.includes("reset"),
    timeout: on.includes("timeout"),
    statuses: statuses.length === 0 || attempts === 1 ? null : statuses,
    idempotencyKey,
    hedge,
  };
}

export interface FailedTry {
  readonly code: FaultCode;
  /** Whether the request may be worked on twice: its method is idempotent, or it has a key that makes it so. */
  readonly safe: boolean;
  /** Whether anything of the request may have reached the endpoint. */
  readonly sent: boolean;
  /** Whether a byte of the body went out that was not kept: then there is nothing to send again. */
  readonly bodyLost: boolean;
  /** Whether anything of an answer went to the client, informational ones included. */
  readonly answered: boolean;
}

/** True when the request can be sent again; attempts and budget are the caller's affair. */
export function isRetriable(rules: RetryRules, { code, safe, sent, bodyLost, answered }: FailedTry): boolean {
  const { retry } = faults[code];
  if (bodyLost || answered || retry === "never") return false;
  // No connection was made, so nobody has seen anything of the request.
  if (retry === "always") return rules.connect;
  // The endpoint did nothing wrong: it had to leave, and who was still there is served elsewhere whatever a route names.
  if (code === "drain-window-over") return safe || !sent;
  if (!safe) return false;
  if (code === "first-byte-timeout") return rules.timeout;
  // Whoever limits a try wants another one.
  return code === "try-timeout" || rules.reset;
}

/** RFC 9110 §9.2.2. */
export function isIdempotent(method: number): boolean {
  switch (method) {
    case Method.get:
    case Method.head:
    case Method.put:
    case Method.delete:
    case Method.options:
    case Method.trace:
      return true;
    default:
      return false;
  }
}

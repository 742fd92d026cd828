import { describe, expect, test } from "bun:test";
import { Method } from "@plimsoll/wire/http1";
import { type FaultCode, faultCodes, faults } from "../base/fault.ts";
import type { RetryOn, RetryPlan } from "../pool/plan.ts";
import { foldRetry, isIdempotent, isRetriable } from "./retry.ts";

const plan = (on: readonly RetryOn[], over: Partial<RetryPlan> = {}): RetryPlan => ({
  attempts: 3,
  budget: 0.2,
  on,
  idempotencyKey: false,
  hedge: 0,
  ...over,
});
const everything = foldRetry(plan(["connect", "reset", "timeout", 503]));
const nothing = foldRetry(plan([]));
const fine = { safe: true, bodyLost: false, answered: false };

describe("which faults may be tried again", () => {
  test("nothing that the register says never to, whatever the rules", () => {
    for (const code of faultCodes) {
      if (faults[code].retry === "never") expect(isRetriable(everything, { ...fine, code })).toBeFalse();
    }
  });

  test("nothing of which a part is lost or was answered, and nothing that no rule names but a limited try", () => {
    for (const code of faultCodes) {
      expect(isRetriable(everything, { ...fine, code, bodyLost: true })).toBeFalse();
      expect(isRetriable(everything, { ...fine, code, answered: true })).toBeFalse();
      expect(isRetriable(nothing, { ...fine, code })).toBe(code === "try-timeout");
    }
  });

  test("the whole table: what each rule opens, for requests that are safe and that are not", () => {
    const opened = (on: RetryOn, safe: boolean): FaultCode[] =>
      faultCodes.filter((code) => isRetriable(foldRetry(plan([on])), { ...fine, safe, code }));
    const connects: FaultCode[] = ["connect-refused", "connect-failed", "connect-timeout"];
    expect(opened("connect", true)).toEqual(expect.arrayContaining(connects));
    // Nobody has seen anything of the request.
    expect(opened("connect", false)).toEqual(connects);
    expect(opened("reset", true)).toEqual(expect.arrayContaining(["upstream-closed", "upstream-reset"]));
    expect(opened("reset", true)).not.toContain("first-byte-timeout");
    expect(opened("timeout", true)).toContain("first-byte-timeout");
    for (const on of ["reset", "timeout", 503] as const) expect(opened(on, false)).toEqual([]);
    for (const code of opened("reset", true)) expect(faults[code].side).toBe("upstream");
  });
});

test("statuses are folded out of the rules, and are of no use without a second try", () => {
  expect(foldRetry(plan(["connect", 502, 503])).statuses).toEqual([502, 503]);
  expect(foldRetry(plan(["connect"])).statuses).toBeNull();
  expect(foldRetry(plan([503], { attempts: 1 })).statuses).toBeNull();
});

test("idempotent methods are those of RFC 9110 §9.2.2", () => {
  const idempotent = Object.entries(Method).filter(([, method]) => isIdempotent(method));
  expect(idempotent.map(([name]) => name).sort()).toEqual(["delete", "get", "head", "options", "put", "trace"]);
});

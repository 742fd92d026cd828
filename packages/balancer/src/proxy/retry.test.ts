import { describe, expect, test } from "bun:test";
import { Method } from "@plimsoll/wire/http1";
import { type FaultCode, faultCodes, faults } from "../base/fault.ts";
import type { RetryOn } from "../pool/plan.ts";
import { foldRetry, isIdempotent, isRetriable } from "./retry.ts";

function rules(on: readonly RetryOn[], attempts = 2) {
  return foldRetry({ attempts, budget: 0.2, on, idempotencyKey: false, hedge: 0 });
}

/** Nothing of the request was sent, so it is as good as a connect that failed. */
const handshakes = [
  "upstream-tls-failed",
  "upstream-certificate-invalid",
  "upstream-certificate-expired",
  "upstream-certificate-misnamed",
] as const;
const sound = { safe: true, sent: true, bodyLost: false, answered: false };

describe("by default", () => {
  const usual = rules(["connect", "reset"]);
  const connects: readonly FaultCode[] = ["connect-refused", "connect-failed", "connect-timeout", ...handshakes];
  const deaths: readonly FaultCode[] = [
    "upstream-closed",
    "upstream-reset",
    "answer-truncated",
    "try-timeout",
    "drain-window-over",
  ];

  test("every code of the register: sent again, if safe, or never", () => {
    for (const code of faultCodes) {
      const expected = connects.includes(code) ? [true, true] : deaths.includes(code) ? [true, false] : [false, false];
      expect([
        code,
        isRetriable(usual, { ...sound, code }),
        isRetriable(usual, { ...sound, code, safe: false }),
      ]).toEqual([code, ...expected]);
    }
  });

  test("never what the register forbids, whatever a route names", () => {
    const all = rules(["connect", "reset", "timeout", 500, 503]);
    for (const code of faultCodes) {
      if (faults[code].retry === "never") expect(isRetriable(all, { ...sound, code })).toBeFalse();
    }
  });

  test("never when a part of the body is lost or anything of an answer went out", () => {
    const all = rules(["connect", "reset", "timeout"]);
    for (const code of faultCodes) {
      expect(isRetriable(all, { ...sound, code, bodyLost: true })).toBeFalse();
      expect(isRetriable(all, { ...sound, code, answered: true })).toBeFalse();
    }
  });
});

test("each reason stands for itself", () => {
  const by = (on: readonly RetryOn[]) => faultCodes.filter((code) => isRetriable(rules(on), { ...sound, code }));
  const always: readonly FaultCode[] = ["try-timeout", "drain-window-over"];
  expect(by([]).toSorted()).toEqual(always.toSorted());
  expect(by(["connect"])).toEqual(["connect-refused", "connect-failed", "connect-timeout", ...handshakes, ...always]);
  expect(by(["reset"])).toEqual([
    "upstream-closed",
    "upstream-reset",
    "try-timeout",
    "answer-truncated",
    "drain-window-over",
  ]);
  expect(by(["timeout"])).toEqual(["first-byte-timeout", ...always]);
});

test("what was not sent when its endpoint's drain was over goes elsewhere, whatever its method", () => {
  const cut = { ...sound, code: "drain-window-over", safe: false } as const;
  expect([true, false].map((sent) => isRetriable(rules([]), { ...cut, sent }))).toEqual([false, true]);
});

test("statuses are folded once, and only where there is a second try", () => {
  expect(rules(["connect", 503, 429]).statuses).toEqual([503, 429]);
  expect(rules(["connect", 503], 1).statuses).toBeNull();
  expect(rules(["connect"]).statuses).toBeNull();
});

test("idempotent methods are those of RFC 9110", () => {
  const names = Object.entries(Method).filter(([, method]) => isIdempotent(method));
  expect(names.map(([name]) => name).toSorted()).toEqual(["delete", "get", "head", "options", "put", "trace"]);
});

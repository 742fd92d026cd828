// Whether a failed try may be followed by another (DESIGN §5): by what the register says of the fault, by the method, and
// by what the endpoint may already have seen.
import { Method } from "@plimsoll/wire/http1";
import { type FaultCode, faults } from "../base/fault.ts";

export interface FailedTry {
  readonly code: FaultCode;
  /** A Method of the codec. */
  readonly method: number;
  /** Whether the connection had carried an exchange before. */
  readonly reused: boolean;
  /** Whether any byte of the body went out: it is not kept, so it cannot be sent again. */
  readonly bodySent: boolean;
}

/** True when the request can safely be sent again; attempts and budget are the caller's affair. */
export function isRetriable({ code, method, reused, bodySent }: FailedTry): boolean {
  const { retry } = faults[code];
  if (bodySent || retry === "never") return false;
  return retry === "always" || (reused && isIdempotent(method));
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

// The fixed answer: status, type and body from the configuration.
import { latin1 } from "../../base/bytes.ts";
import type { ActionPlan } from "../plan.ts";

/** A whole small answer of our own. Its length, date and connection fields are written by whoever sends it. */
export interface FixedAnswer {
  readonly status: number;
  /** Further field lines, each with its CRLF. */
  readonly lines: Uint8Array;
  readonly body: Uint8Array;
}

/** The answer of a `respond` route, or null if the action is another. 204, 205 and 304 have no body (RFC 9110 §6.4.1). */
export function compileFixed(action: ActionPlan): FixedAnswer | null {
  if (action.kind !== "fixed") return null;
  const bodiless = action.status === 204 || action.status === 205 || action.status === 304;
  const body = bodiless ? new Uint8Array(0) : new TextEncoder().encode(action.body);
  const typed = body.length > 0 && action.contentType !== "";
  return {
    status: action.status,
    lines: latin1(typed ? `Content-Type: ${oneLine(action.contentType)}\r\n` : ""),
    body,
  };
}

/** Without the control characters that would end a field line: the last guard, after the check of the configuration. */
export function oneLine(value: string): string {
  // oxlint-disable-next-line no-control-regex -- controls are what it is about
  return value.replace(/[\u0000-\u0008\u000a-\u001f\u007f]/g, "");
}

// The Date field (RFC 9110 §6.6.1) as bytes, made again once a second by the engine's tick.
import { latin1 } from "../base/bytes.ts";

let second = -1;

/** The whole line, CRLF included: 37 bytes. Filled in place. */
export const dateLine: Uint8Array = latin1("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");

/** Brings the line up to date. `wall` is ms since the epoch. */
export function updateDate(wall: number): void {
  const now = Math.floor(wall / 1000);
  if (now === second) return;
  second = now;
  dateLine.set(latin1(`Date: ${new Date(now * 1000).toUTCString()}\r\n`));
}

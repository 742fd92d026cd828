// What an answer says that came from an endpoint which nobody knew to be ready, because nobody else was either: whoever looks
// at a strange answer then sees how it came about.
import { copyBytes, latin1 } from "../base/bytes.ts";

/** RFC 9209 §2.3.4; upstream's own Proxy-Status stands in a line before it (§2: in the order in which answers pass). */
const failedOpenLine = latin1('Proxy-Status: plimsoll; details="failed-open"\r\n');

/** The line, after the balancer's other lines of the same answer, if there are any. */
export function withFailedOpen(lines: Uint8Array | null): Uint8Array {
  if (lines === null) return failedOpenLine;
  const all = new Uint8Array(lines.length + failedOpenLine.length);
  copyBytes(all, copyBytes(all, 0, lines, 0, lines.length), failedOpenLine, 0, failedOpenLine.length);
  return all;
}

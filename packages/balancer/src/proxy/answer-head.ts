// The answer head as it goes to the client, in canonical form: lines that may pass are copied in runs, framing and
// connection fields are our own.
import { type AnswerHead, Field, FieldFlag, writeDecimal } from "@plimsoll/wire/http1";
import { copyBytes, latin1 } from "../base/bytes.ts";
import { dateLine } from "./http-date.ts";
import { Outbox } from "./outbox.ts";
import type { HeaderEdits } from "./steps/header-edits.ts";

const versionStart = latin1("HTTP/1.1 ");
const lengthName = latin1("Content-Length: ");
const chunkedLine = latin1("Transfer-Encoding: chunked\r\n");
const closeLine = latin1("Connection: close\r\n");
const keepAliveLine = latin1("Connection: keep-alive\r\n");
const upgradeLine = latin1("Connection: upgrade\r\nUpgrade: ");
const trailerDropped = FieldFlag.hop | FieldFlag.framing;

/** How the body is framed towards the client. */
export const BodyFraming = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const;

/** What the head says of the connection. */
export const Persistence = { silent: 0, close: 1, keepAlive: 2, upgrade: 3 } as const;

/**
 * Writes the head into the outbox. `contentLength` is written when it is not negative (a HEAD or 304 answer has a length and
 * no body), `framing` decides about Transfer-Encoding. `own` is lines that the balancer adds by itself, or null.
 */
export function writeAnswerHead(
  bytes: Uint8Array,
  head: AnswerHead,
  outbox: Outbox,
  framing: number,
  contentLength: number,
  persistence: number,
  edits: HeaderEdits | null,
  own: Uint8Array | null,
): void {
  // The status line is 9 bytes and more before the reason; what follows it is what was received and at most a space a line.
  const { fields } = head;
  const passing = own === null || edits === null ? own : edits.passing(own);
  const added = (edits === null ? 0 : edits.room) + (passing === null ? 0 : passing.length);
  let at = outbox.reserve(head.end - head.reasonStart + fields.count + 320 + added);
  const to = Outbox.scratch;
  at = copyBytes(to, at, versionStart, 0, versionStart.length);
  const { status } = head;
  to[at++] = 48 + ((status / 100) | 0);
  to[at++] = 48 + (((status / 10) | 0) % 10);
  to[at++] = 48 + (status % 10);
  to[at++] = 32;
  at = copyBytes(to, at, bytes, head.reasonStart, head.reasonEnd);
  to[at++] = 13;
  to[at++] = 10;

  const { at: places, flags, ids, count } = fields;
  let dated = false;
  let run = -1;
  let runEnd = 0;
  for (let i = 0, k = 0; i < count; i++, k += 4) {
    const flag = flags[i] as number;
    const pass = (flag & trailerDropped) === 0 && (edits === null || !edits.removes(bytes, fields, i));
    if (pass && ids[i] === Field.date) dated = true;
    if (pass && (flag & FieldFlag.plain) !== 0) {
      if (run < 0) run = places[k] as number;
      runEnd = (places[k + 3] as number) + 2;
      continue;
    }
    if (run >= 0) {
      at = copyBytes(to, at, bytes, run, runEnd);
      run = -1;
    }
    if (!pass) continue;
    at = copyBytes(to, at, bytes, places[k] as number, places[k + 1] as number);
    to[at++] = 58;
    to[at++] = 32;
    at = copyBytes(to, at, bytes, places[k + 2] as number, places[k + 3] as number);
    to[at++] = 13;
    to[at++] = 10;
  }
  if (run >= 0) at = copyBytes(to, at, bytes, run, runEnd);

  // RFC 9110 §6.6.1: an answer without Date gets one from whoever forwards it; informational ones need none.
  if (!dated && status >= 200) at = copyBytes(to, at, dateLine, 0, dateLine.length);
  if (framing === BodyFraming.chunked) at = copyBytes(to, at, chunkedLine, 0, chunkedLine.length);
  else if (contentLength >= 0) {
    at = copyBytes(to, at, lengthName, 0, lengthName.length);
    at = writeDecimal(to, at, contentLength);
    to[at++] = 13;
    to[at++] = 10;
  }
  if (persistence === Persistence.close) at = copyBytes(to, at, closeLine, 0, closeLine.length);
  else if (persistence === Persistence.keepAlive) at = copyBytes(to, at, keepAliveLine, 0, keepAliveLine.length);
  else if (persistence === Persistence.upgrade) {
    at = copyBytes(to, at, upgradeLine, 0, upgradeLine.length);
    at = copyBytes(to, at, bytes, head.upgradeStart, head.upgradeEnd);
    to[at++] = 13;
    to[at++] = 10;
  }
  if (passing !== null) at = copyBytes(to, at, passing, 0, passing.length);
  if (edits !== null && status >= 200) at = edits.write(to, at);
  to[at++] = 13;
  to[at++] = 10;
  outbox.wrote(at);
}

// The request head as it goes upstream, in canonical form: lines that may pass are copied in runs, framing and connection
// fields are our own, and what the endpoint may not believe from a client is replaced by what we know.
import { Field, FieldFlag, Framing, type RequestHead, TargetForm, writeDecimal } from "@plimsoll/wire/http1";
import { copyBytes, latin1, spells } from "../base/bytes.ts";
import { findCookie, writeWithoutCookie } from "./cookies.ts";
import type { HeadBuffer } from "./head-buffer.ts";
import { requestIdLength, writeRequestId } from "./request-id.ts";
import type { HeadShape } from "./request-shape.ts";

const version = latin1(" HTTP/1.1\r\n");
const lengthName = latin1("Content-Length: ");
const chunkedLine = latin1("Transfer-Encoding: chunked\r\n");
const closeLine = latin1("Connection: close\r\n");
const trailersLines = latin1("Connection: TE\r\nTE: trailers\r\n");
const upgradeLines = latin1("Connection: upgrade\r\nUpgrade: ");
const requestIdName = latin1("X-Request-Id: ");
const hostName = latin1("Host: ");
const maxForwardsName = latin1("Max-Forwards: ");
const cookieName = latin1("Cookie: ");
const crlf = latin1("\r\n");

/** Fields that we write ourselves, by id: 1 = always, 2 = unless a trusted peer sent it. 3 = passes from trusted peers only. */
const replaced = new Uint8Array(256);
replaced[Field.forwarded] = 1;
replaced[Field.xForwardedFor] = 1;
replaced[Field.xForwardedProto] = 1;
replaced[Field.xForwardedHost] = 1;
replaced[Field.xForwardedPort] = 1;
replaced[Field.xPlimsollAttempt] = 1;
replaced[Field.xRequestId] = 2;
replaced[Field.xRealIp] = 3;

/** Where the request id lies in the buffer that was built last: [from, to). */
export let requestIdFrom = 0;
export let requestIdTo = 0;

/** Builds the head into `out`; everything in `bytes` was checked by the codec. */
export function buildRequestHead(bytes: Uint8Array, head: RequestHead, shape: HeadShape, out: HeadBuffer): void {
  const { edits, maxForwards, ownCookie, target } = shape;
  const forwarding = edits === null ? shape.forwarding : edits.passing(shape.forwarding);
  // A line that is not plain may grow by one space.
  const room =
    head.end -
    head.start +
    head.fields.count +
    (target === null ? 0 : target.length) +
    forwarding.length +
    (edits === null ? 0 : edits.room) +
    320 +
    shape.ownHost.length;
  const to = out.fit(room);

  // Request line.
  let at = copyBytes(to, 0, bytes, head.start, head.methodEnd);
  to[at++] = 32;
  if (target !== null) at = copyBytes(to, at, target, 0, target.length);
  else if (head.form !== TargetForm.absolute) at = copyBytes(to, at, bytes, head.targetStart, head.targetEnd);
  else {
    // RFC 9112 §3.2.2: towards the origin an absolute target becomes origin-form.
    if (head.pathStart === head.pathEnd) to[at++] = 47;
    at = copyBytes(to, at, bytes, head.pathStart, head.queryEnd);
  }
  at = copyBytes(to, at, version, 0, version.length);

  // Fields.
  const fields = head.fields;
  const { at: places, flags, ids, count } = fields;
  let keptId = false;
  let run = -1;
  let runEnd = 0;
  requestIdFrom = requestIdTo = 0;
  for (let i = 0, k = 0; i < count; i++, k += 4) {
    const flag = flags[i] as number;
    let rule = replaced[ids[i] as number] as number;
    if (rule === 0 && isForwarding(bytes, places[k] as number, places[k + 1] as number)) rule = 3;
    if (rule === 0 && isCertificate(bytes, places[k] as number, places[k + 1] as number))
      rule = shape.asksCertificates ? 1 : 3;
    const { trusted } = shape;
    let pass: boolean =
      (flag & shape.dropped) === 0 && (rule === 0 || (rule === 3 && trusted) || (rule === 2 && trusted && !keptId));
    if (edits !== null && edits.removes(bytes, fields, i)) pass = false;
    if (maxForwards >= 0 && spells(bytes, places[k] as number, places[k + 1] as number, "max-forwards")) pass = false;
    if (pass && rule === 2) {
      // Only an id that is sane is kept: it will stand in logs.
      const length = (places[k + 3] as number) - (places[k + 2] as number);
      pass = length > 0 && length <= 128;
      keptId = pass;
    }
    if (ownCookie !== "" && pass && ids[i] === Field.cookie) {
      const from = places[k + 2] as number;
      const end = places[k + 3] as number;
      if (findCookie(bytes, from, end, ownCookie) >= 0) {
        if (run >= 0) at = copyBytes(to, at, bytes, run, runEnd);
        run = -1;
        at = writeOtherCookies(to, at, bytes, from, end, ownCookie);
        continue;
      }
    }
    if (pass && (flag & FieldFlag.plain) !== 0 && rule !== 2) {
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
    if (rule === 2) requestIdFrom = at;
    at = copyBytes(to, at, bytes, places[k + 2] as number, places[k + 3] as number);
    if (rule === 2) requestIdTo = at;
    to[at++] = 13;
    to[at++] = 10;
  }
  if (run >= 0) at = copyBytes(to, at, bytes, run, runEnd);

  // Ours.
  if (head.hostIndex < 0 && (edits === null || !edits.ownsHost)) {
    at = copyBytes(to, at, hostName, 0, hostName.length);
    if (head.hostEnd > head.hostStart) at = copyBytes(to, at, bytes, head.hostStart, head.hostEnd);
    else {
      const own = latin1(shape.ownHost);
      at = copyBytes(to, at, own, 0, own.length);
    }
    at = copyBytes(to, at, crlf, 0, 2);
  }
  if (maxForwards >= 0) {
    at = copyBytes(to, at, maxForwardsName, 0, maxForwardsName.length);
    at = writeDecimal(to, at, maxForwards);
    at = copyBytes(to, at, crlf, 0, 2);
  }
  if (head.framing === Framing.length) {
    at = copyBytes(to, at, lengthName, 0, lengthName.length);
    at = writeDecimal(to, at, head.contentLength);
    at = copyBytes(to, at, crlf, 0, 2);
  } else if (head.framing === Framing.chunked) at = copyBytes(to, at, chunkedLine, 0, chunkedLine.length);
  if (shape.upgrade) {
    at = copyBytes(to, at, upgradeLines, 0, upgradeLines.length);
    at = copyBytes(to, at, bytes, head.upgradeStart, head.upgradeEnd);
    at = copyBytes(to, at, crlf, 0, 2);
  } else if (shape.close) at = copyBytes(to, at, closeLine, 0, closeLine.length);
  else if (head.acceptsTrailers) at = copyBytes(to, at, trailersLines, 0, trailersLines.length);
  at = copyBytes(to, at, forwarding, 0, forwarding.length);
  if (!keptId && (edits === null || !edits.ownsRequestId)) {
    at = copyBytes(to, at, requestIdName, 0, requestIdName.length);
    requestIdFrom = at;
    at = writeRequestId(to, at);
    requestIdTo = requestIdFrom + requestIdLength;
    at = copyBytes(to, at, crlf, 0, 2);
  }
  if (edits !== null) at = edits.write(to, at, to, requestIdFrom, requestIdTo);
  out.length = copyBytes(to, at, crlf, 0, 2);
}

/** The line without our own cookie; none at all when there is no other. */
function writeOtherCookies(
  to: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  end: number,
  ownCookie: string,
): number {
  const value = copyBytes(to, at, cookieName, 0, cookieName.length);
  const after = writeWithoutCookie(to, value, bytes, from, end, ownCookie);
  return after === value ? at : copyBytes(to, after, crlf, 0, 2);
}

/** X-Forwarded-Prefix, -Ssl, -Server and their like: applications build addresses from them, so strangers must not set them. */
function isForwarding(bytes: Uint8Array, from: number, to: number): boolean {
  const first = bytes[from];
  return (first === 120 || first === 88) && to - from > 12 && spells(bytes, from, from + 12, "x-forwarded-");
}

/** Client-Cert, Client-Cert-Chain (RFC 9440) and X-Client-Cert-*: who a client is, which no client may say of itself. */
function isCertificate(bytes: Uint8Array, from: number, to: number): boolean {
  const first = bytes[from];
  const length = to - from;
  if (first === 99 || first === 67) {
    return length >= 11 && spells(bytes, from, from + 11, "client-cert") && (length === 11 || bytes[from + 11] === 45);
  }
  return (first === 120 || first === 88) && length >= 13 && spells(bytes, from, from + 13, "x-client-cert");
}

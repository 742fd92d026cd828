// Cookies within the bytes of a Cookie field. Strings are made only of what was asked for; names are told apart by case.
import { copyBytes } from "../base/bytes.ts";

/** Value of the pair that was found last: [from, to), without white space and double quotes around it. */
export let cookieFrom = 0;
export let cookieTo = 0;

/**
 * Looks for a cookie called `name` in the field value [from, to). Returns where to look on for the next one of that name, or
 * -1 when there is none.
 */
export function findCookie(bytes: Uint8Array, from: number, to: number, name: string): number {
  for (let at = from; at < to; at++) {
    const end = pairEnd(bytes, at, to);
    if (isCookie(bytes, at, end, name)) return end + 1;
    at = end;
  }
  return -1;
}

/**
 * Copies the field value [from, to) to `out` at `at` without the cookies called `name`; returns the position after it. Never
 * longer than what it was.
 */
export function writeWithoutCookie(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  to: number,
  name: string,
): number {
  const start = at;
  for (let pair = from; pair < to; pair++) {
    const end = pairEnd(bytes, pair, to);
    if (!isCookie(bytes, pair, end, name)) {
      let copied = pair;
      if (at === start) while (copied < end && isSpace(bytes[copied]!)) copied++;
      else out[at++] = 59;
      at = copyBytes(out, at, bytes, copied, end);
    }
    pair = end;
  }
  return at;
}

function pairEnd(bytes: Uint8Array, from: number, to: number): number {
  const end = bytes.indexOf(59, from);
  return end < 0 || end > to ? to : end;
}

/** Whether the pair [from, to) has this name; sets its value if so. */
function isCookie(bytes: Uint8Array, from: number, to: number, name: string): boolean {
  let at = from;
  while (at < to && isSpace(bytes[at]!)) at++;
  for (let i = 0; i < name.length; i++, at++) if (at >= to || bytes[at] !== name.charCodeAt(i)) return false;
  while (at < to && isSpace(bytes[at]!)) at++;
  if (at >= to || bytes[at] !== 61) return false;
  at++;
  let end = to;
  while (at < end && isSpace(bytes[at]!)) at++;
  while (end > at && isSpace(bytes[end - 1]!)) end--;
  if (end - at >= 2 && bytes[at] === 34 && bytes[end - 1] === 34) {
    at++;
    end--;
  }
  cookieFrom = at;
  cookieTo = end;
  return true;
}

function isSpace(byte: number): boolean {
  return byte === 32 || byte === 9;
}

// The hottest loop of the balancer: the field lines of a head, scanned once, for requests and answers alike.
import type { Fields } from "./fields.ts";
import { FieldFlag, fieldIdOfHash, hashPrime, hashSeed } from "./fields.ts";
import { flagsOfId } from "./hop.ts";
import type { HeadLimits } from "./limits.ts";
import { COLON, CR, HTAB, LF, nameTable, SP, underscoreBit, valueTable } from "./octets.ts";
import { Violation } from "./violations.ts";

/** What to do with a field whose name has "_". */
export type Underscores = "drop" | "reject" | "pass";

/**
 * Scans field lines from `from` to the empty line. `stop` is where the bytes or the head's limit end, and `incomplete` what
 * reaching it means (0, or minus the violation of that limit). Returns the position after the empty line, `incomplete`,
 * or minus a violation as found in a request. Decides by nothing beyond the byte it stands on, so that a head cut
 * anywhere and parsed again has the same outcome.
 */
export function scanFieldLines(
  bytes: Uint8Array,
  from: number,
  stop: number,
  incomplete: number,
  limits: HeadLimits,
  fields: Fields,
  underscores: Underscores,
): number {
  let { at, ids, hashes, flags } = fields;
  let count = 0;
  let p = from;
  for (;;) {
    if (p >= stop) return incomplete;
    const nameStart = p;
    if (bytes[p] === CR) {
      if (p + 1 >= stop) return incomplete;
      if (bytes[p + 1] !== LF) return -Violation.bareCr;
      fields.count = count;
      return p + 2;
    }
    if (count >= limits.fields) return -Violation.fieldsTooMany;
    const lineLimit = nameStart + limits.fieldBytes + 2;
    const lineStop = lineLimit < stop ? lineLimit : stop;

    let hash = hashSeed;
    let seen = 0;
    while (p < lineStop) {
      const byte = nameTable[bytes[p]!]!;
      if (byte === 0) break;
      hash = Math.imul(hash ^ byte, hashPrime);
      seen |= byte;
      p++;
    }
    if (p >= lineStop) return p === lineLimit ? -Violation.fieldTooLarge : incomplete;
    if (bytes[p] !== COLON || p === nameStart) return -nameViolation(bytes[p]!, p === nameStart);
    const nameEnd = p++;

    while (p < lineStop && (bytes[p] === SP || bytes[p] === HTAB)) p++;
    const valueStart = p;
    while (p < lineStop && valueTable[bytes[p]!] !== 0) p++;
    if (p >= lineStop) return p === lineLimit ? -Violation.fieldTooLarge : incomplete;
    if (bytes[p] !== CR) return bytes[p] === LF ? -Violation.bareLf : -Violation.valueByte;
    if (p + 1 >= lineStop) return p + 1 === lineLimit ? -Violation.fieldTooLarge : incomplete;
    if (bytes[p + 1] !== LF) return -Violation.bareCr;
    let valueEnd = p;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--;

    if (count === ids.length) {
      fields.grow(limits.fields + 1);
      ({ at, ids, hashes, flags } = fields);
    }
    const id = fieldIdOfHash(bytes, nameStart, nameEnd, hash);
    let flag = flagsOfId[id]!;
    if ((seen & underscoreBit) !== 0) {
      if (underscores === "reject") return -Violation.nameUnderscore;
      flag |= underscores === "drop" ? FieldFlag.underscore | FieldFlag.hop : FieldFlag.underscore;
    }
    if (valueEnd === p && valueStart === nameEnd + 2 && bytes[nameEnd + 1] === SP) flag |= FieldFlag.plain;
    const base = count * 4;
    at[base] = nameStart;
    at[base + 1] = nameEnd;
    at[base + 2] = valueStart;
    at[base + 3] = valueEnd;
    ids[count] = id;
    hashes[count] = hash;
    flags[count] = flag;
    count++;
    p += 2;
  }
}

/** Why the byte that ended a field name cannot end one. */
function nameViolation(byte: number, atStart: boolean): number {
  if (byte === SP || byte === HTAB) return atStart ? Violation.fold : Violation.nameSpace;
  if (byte === LF) return Violation.bareLf;
  if (byte === CR) return Violation.colonMissing;
  if (byte === COLON) return Violation.nameEmpty;
  return Violation.nameByte;
}

// Ids for requests: 16 hex digits of the worker's own (random at its start) and 16 that count up. Unique over workers and
// restarts, in order within a worker, and made without a string or an allocation: the digits count like an odometer.
import { text } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";

export const requestIdLength = 32;
const digits = new Uint8Array(requestIdLength).fill(48);

/** Sets the worker's own half; called once at the start of a worker. */
export function seedRequestIds(random: Random): void {
  for (let i = 0; i < 16; i++) digits[i] = "0123456789abcdef".charCodeAt(Math.floor(random() * 16));
}

/** Writes the next id at `at` and returns the position after it. */
export function writeRequestId(out: Uint8Array, at: number): number {
  let place = requestIdLength - 1;
  while (place >= 16) {
    const digit = digits[place] as number;
    if (digit === 57) {
      digits[place] = 97;
      break;
    }
    if (digit !== 102) {
      digits[place] = digit + 1;
      break;
    }
    digits[place--] = 48;
  }
  for (let i = 0; i < requestIdLength; i++) out[at + i] = digits[i] as number;
  return at + requestIdLength;
}

/** The next id as text, for what never goes upstream. */
export function nextRequestId(): string {
  writeRequestId(written, 0);
  return text(written, 0, requestIdLength);
}

const written = new Uint8Array(requestIdLength);

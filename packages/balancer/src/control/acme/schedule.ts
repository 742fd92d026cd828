// acme/: certificates from an authority that speaks ACME (RFC 8555): ordered in one place, kept in a folder, renewed in time.
// It must not know listeners, workers or requests. Here: when to try. Pure: time and chance are arguments.
import type { Random } from "../../base/random.ts";

const minute = 60_000;
const hour = 60 * minute;

/**
 * When a certificate is to be renewed, wall-clock ms: when a third of its life is left, up to a tenth of that third earlier
 * by chance, so that many that began together do not end together.
 */
export function renewalTime(notBefore: number, notAfter: number, random: Random): number {
  const third = (notAfter - notBefore) / 3;
  return notAfter - third - random() * (third / 10);
}

/**
 * Ms until the next try after so many failures in a row. Let's Encrypt allows five failed validations of a name an hour, so the
 * second hour begins before the fifth; a quarter more or less by chance.
 */
const delays = [minute, 5 * minute, 30 * minute, 2 * hour, 6 * hour, 12 * hour] as const;

/** When to try again, wall-clock ms. `retryAfter` is what the authority asked for, in ms: never sooner than that. */
export function retryTime(failures: number, retryAfter: number, now: number, random: Random): number {
  const delay = delays[Math.min(Math.max(failures, 1), delays.length) - 1] ?? 12 * hour;
  return now + Math.max(delay * (0.75 + random() / 2), retryAfter);
}

/** Ms that a Retry-After field asks for (RFC 9110 §10.2.3), at most a week; 0 if it asks for nothing that can be read. */
export function readRetryAfter(field: string, now: number): number {
  const seconds = /^\d{1,9}$/.test(field.trim()) ? Number(field) * 1000 : Date.parse(field) - now;
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds), 7 * 24 * hour) : 0;
}

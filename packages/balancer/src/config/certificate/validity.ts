// When certificates are valid, in words. Times are wall-clock ms.
import type { CertificateFinding, Tell } from "./finding.ts";

export const day = 24 * 60 * 60 * 1000;

/** Left of their life when a warning begins, and when it gets louder. */
const early = 21 * day;
const late = 7 * day;

/** Whatever has an end: the leaf, or another certificate of its chain. */
export interface Lived {
  /** How it is spoken of: "the certificate", "the intermediate CN=R3". */
  readonly called: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Tells if it is not valid now, or not for much longer. Certificates that live for a week only warn in the last third of
 * their life: else they would always.
 */
export function judgeValidity({ called, notBefore, notAfter }: Lived, now: number, tell: Tell): void {
  const finding = (rest: Pick<CertificateFinding, "trouble" | "message"> & Partial<CertificateFinding>): void =>
    tell({ severity: "warning", part: "cert", ...rest });
  if (now >= notAfter) {
    finding({
      trouble: "expired",
      message: `${called} expired ${ago(now - notAfter)}, on ${date(notAfter)}`,
      why: "every client that verifies it refuses the connection",
      hint: "renew it, and put the new file in its place",
    });
  } else if (now < notBefore) {
    finding({
      trouble: "not-yet-valid",
      message: `${called} is valid from ${date(notBefore)} only, ${span(notBefore - now)} from now`,
      why: "every client that verifies it refuses the connection until then",
      hint: "keep the old one until then; if the date is wrong, look at this machine's clock",
    });
  } else if (notAfter - now < Math.min(early, (notAfter - notBefore) / 3)) {
    const left = notAfter - now;
    const loud = left < Math.min(late, (notAfter - notBefore) / 9);
    finding({
      trouble: "expires-soon",
      message: loud
        ? `ONLY ${span(left)} LEFT: ${called} expires on ${date(notAfter)}`
        : `${called} expires in ${span(left)}, on ${date(notAfter)}`,
      ...(loud && { why: "from then on every client that verifies it refuses the connection" }),
      hint: "renew it, and put the new file in its place",
    });
  }
}

/** "2026-11-27 23:02 UTC". */
export function date(ms: number): string {
  return Number.isFinite(ms) ? `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC` : "an unknown day";
}

/** "12 days", "5 hours", "3 minutes". */
export function span(ms: number): string {
  const units = [
    [day, "day"],
    [60 * 60 * 1000, "hour"],
    [60 * 1000, "minute"],
  ] as const;
  const [size, unit] = units.find(([size]) => ms >= 2 * size) ?? [60 * 1000, "minute"];
  const count = Math.floor(ms / size);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function ago(ms: number): string {
  return `${span(ms)} ago`;
}

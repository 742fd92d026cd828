// How many descriptors this process may have. Each proxied connection takes two.

import { errno, errnoName, libc, linux } from "./libc.ts";

/** The limits; `Infinity` where the system sets none. */
export interface DescriptorLimit {
  /** What holds now. */
  readonly soft: number;
  /** How far a process may raise it itself. */
  readonly hard: number;
}

/** Reads RLIMIT_NOFILE. */
export function readDescriptorLimit(): DescriptorLimit {
  const words = new BigUint64Array(2);
  if (libc.getrlimit(linux.RLIMIT_NOFILE, words) < 0) return { soft: 1024, hard: 1024 };
  return { soft: limitNumber(words[0]!), hard: limitNumber(words[1]!) };
}

/** Raises the soft limit to the hard one. Returns what holds afterwards, and why if nothing changed that should have. */
export function raiseDescriptorLimit(): DescriptorLimit & { readonly failure?: string } {
  const before = readDescriptorLimit();
  if (before.soft === before.hard) return before;
  const hard = before.hard === Infinity ? unlimited : BigInt(before.hard);
  if (libc.setrlimit(linux.RLIMIT_NOFILE, new BigUint64Array([hard, hard])) < 0) {
    return { ...before, failure: errnoName(errno()) };
  }
  return readDescriptorLimit();
}

const unlimited = 0xffff_ffff_ffff_ffffn;

function limitNumber(value: bigint): number {
  return value === unlimited ? Infinity : Number(value);
}

// A certificate for development: asked for by names, written beside the configuration that will use it.
import { existsSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import { readCertificate, type CertificateFacts } from "@plimsoll/balancer/src/config/certificate/read.ts";
import { makeLeaf } from "@plimsoll/balancer/src/control/certificate/make.ts";
import { CommandError } from "../spec.ts";
import { developmentAuthority, type DevelopmentAuthority } from "./authority.ts";
import { fileName } from "./names.ts";

export interface DevelopmentCertificate {
  /** As whoever stands in `cwd` names them. */
  readonly cert: string;
  readonly key: string;
  readonly facts: CertificateFacts;
  readonly authority: DevelopmentAuthority;
}

export interface DevelopmentWish {
  /** As the certificate holds them. */
  readonly names: readonly string[];
  readonly cwd: string;
  /** Folder, made if it is not there. */
  readonly out: string;
  /** Whether files that are there may be replaced. */
  readonly force: boolean;
  readonly env: Record<string, string | undefined>;
  /** Wall-clock ms. */
  readonly now: number;
}

const day = 24 * 60 * 60 * 1000;
const life = 90 * day;

/** Makes it. Throws a CommandError, with nothing written, if files would be overwritten or cannot be written. */
export async function makeDevelopmentCertificate(wish: DevelopmentWish): Promise<DevelopmentCertificate> {
  const { names, now } = wish;
  const folder = isAbsolute(wish.out) ? wish.out : join(wish.cwd, wish.out);
  const base = join(folder, fileName(names[0] ?? ""));
  const files = { cert: `${base}.crt`, key: `${base}.key` };
  const there = wish.force ? undefined : [files.cert, files.key].find((file) => existsSync(file));
  if (there !== undefined) throw overwriting(there);
  const authority = await developmentAuthority(wish.env, now);
  const dates = { notBefore: now - day, notAfter: Math.min(now + life, authority.facts.notAfter) };
  const made = await makeLeaf(names, dates, authority);
  const { facts, findings } = readCertificate(made.cert, made.key, now);
  if (facts === null) throw new CommandError(`The certificate that was made cannot be used: ${findings[0]?.message}.`);
  try {
    mkdirSync(folder, { recursive: true });
    // The key first: whoever watches the certificate finds its key beside it.
    put(files.key, made.key, 0o600, wish.force);
    put(files.cert, made.cert, 0o644, wish.force);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw overwriting(files.cert);
    throw new CommandError(`The certificate cannot be written to ${folder}: ${(error as Error).message}.`);
  }
  return { cert: seenFrom(wish.cwd, files.cert), key: seenFrom(wish.cwd, files.key), facts, authority };
}

/** Whole or not at all, and never in the place of another file unless that was asked for. */
function put(file: string, text: string, mode: number, force: boolean): void {
  const beside = `${file}.${process.pid}`;
  try {
    writeFileSync(beside, text, { mode, flag: "wx" });
    if (force) renameSync(beside, file);
    else linkSync(beside, file);
  } finally {
    rmSync(beside, { force: true });
  }
}

function overwriting(file: string): CommandError {
  return new CommandError(`${file} is there already; --force replaces it, --out writes elsewhere.`);
}

/** Relative where that is shorter to read. */
function seenFrom(cwd: string, file: string): string {
  const path = relative(cwd, file);
  return path.startsWith("..") ? file : path;
}

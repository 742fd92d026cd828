// The development authority of this user: made once, kept in the data folder, its key readable by nobody else.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, hostname, userInfo } from "node:os";
import { isAbsolute, join } from "node:path";
import { readCertificate, type CertificateFacts } from "@plimsoll/balancer/src/config/certificate/read.ts";
import { makeAuthority, type MadePair } from "@plimsoll/balancer/src/control/certificate/make.ts";
import { CommandError } from "../spec.ts";
import { permittedNames } from "./names.ts";

export interface DevelopmentAuthority extends MadePair {
  /** Path of its certificate, which is what others trust. */
  readonly file: string;
  readonly facts: CertificateFacts;
  /** Whether it was made just now, and is trusted by nobody yet. */
  readonly fresh: boolean;
}

const day = 24 * 60 * 60 * 1000;
/** Trusting it is work by hand, on every machine: not every year. */
const life = 3650 * day;

/** `$XDG_DATA_HOME/plimsoll/dev-authority`, by default below ~/.local/share (XDG Base Directory Specification). */
export function authorityFolder(env: Record<string, string | undefined>): string {
  const { XDG_DATA_HOME: data = "", HOME: home = homedir() } = env;
  // The specification says that a relative path is to be ignored.
  return join(isAbsolute(data) ? data : join(home, ".local", "share"), "plimsoll", "dev-authority");
}

/** The authority, made if there is none. Throws a CommandError if it is there and cannot be used. */
export async function developmentAuthority(
  env: Record<string, string | undefined>,
  now: number,
): Promise<DevelopmentAuthority> {
  const folder = authorityFolder(env);
  const fresh = !existsSync(folder);
  if (fresh) await create(folder, now);
  const file = join(folder, "authority.crt");
  const keyFile = join(folder, "authority.key");
  let pair: MadePair;
  try {
    pair = { cert: readFileSync(file, "utf8"), key: readFileSync(keyFile, "utf8") };
    if ((statSync(keyFile).mode & 0o077) !== 0) chmodSync(keyFile, 0o600);
  } catch (error) {
    throw unusable(folder, (error as Error).message);
  }
  const { facts, findings } = readCertificate(pair.cert, pair.key, now);
  if (facts === null) throw unusable(folder, findings.find(({ severity }) => severity === "error")?.message ?? "");
  if (now >= facts.notAfter) throw unusable(folder, "it has expired");
  return { ...pair, file, facts, fresh };
}

/** Made beside its place and moved there whole: of two who begin at once one wins, and the other uses what is there. */
async function create(folder: string, now: number): Promise<void> {
  const beside = `${folder}.${process.pid}`;
  const dates = { notBefore: now - day, notAfter: now + life };
  const made = await makeAuthority(`Plimsoll development (${whoWhere()})`, dates, permittedNames);
  try {
    mkdirSync(beside, { recursive: true, mode: 0o700 });
    writeFileSync(join(beside, "authority.key"), made.key, { mode: 0o600 });
    writeFileSync(join(beside, "authority.crt"), made.cert, { mode: 0o644 });
    renameSync(beside, folder);
  } catch (error) {
    if (!existsSync(join(folder, "authority.crt"))) {
      throw new CommandError(`The development authority cannot be stored in ${folder}: ${(error as Error).message}.`);
    }
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}

/** Tells the authorities of several machines apart, in a list of those that are trusted. 64 characters is X.520's limit. */
function whoWhere(): string {
  let user = "somebody";
  try {
    user = userInfo().username;
  } catch {
    // A user without an entry in the system's list, as in many containers.
  }
  return `${user}@${hostname()}`.replaceAll(/[^\w.@-]/g, "").slice(0, 38);
}

function unusable(folder: string, why: string): CommandError {
  return new CommandError(
    `The development authority in ${folder} cannot be used: ${why}. Remove that folder, and the next call makes another one, ` +
      "which must be trusted anew.",
  );
}

// The folder in which certificates, their keys and the account's key are kept: whole files only, readable by their owner only.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";

/** A certificate as it is stored. */
export interface StoredPair {
  /** PEM, the leaf first. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

/** What became of the tries for one certificate; kept, so that a program that is restarted all the time asks no more often. */
export interface StoredTries {
  /** Failures in a row. */
  readonly failures: number;
  /** Wall-clock ms before which there is no other try. */
  readonly notBefore: number;
  readonly problem: string;
}

export const noTries: StoredTries = { failures: 0, notBefore: 0, problem: "" };

/** One folder for each authority: a certificate of its staging must never pass for a real one. */
export class AcmeStorage {
  readonly folder: string;

  constructor(root: string, directory: string) {
    const { host } = new URL(directory);
    this.folder = join(root, `${host.replaceAll(/[^\w.-]/g, "_")}-${shortHash(directory)}`);
  }

  /** Makes the folder. Throws what the system says if that cannot be. */
  open(): void {
    mkdirSync(join(this.folder, "certificates"), { recursive: true, mode: 0o700 });
  }

  /** PEM of the account's key; "" if there is none yet. */
  accountKey(): string {
    return this.#read("account.key");
  }

  putAccountKey(pem: string): void {
    this.#write("account.key", pem);
  }

  /** null if there is none. */
  pair(id: string): StoredPair | null {
    const text = this.#read(`certificates/${id}.pem`);
    const at = text.indexOf("-----BEGIN PRIVATE KEY-----");
    return at < 0 ? null : { cert: text.slice(0, at), key: text.slice(at) };
  }

  /** Both in one file, so that they are replaced together or not at all. */
  putPair(id: string, { cert, key }: StoredPair): void {
    this.#write(`certificates/${id}.pem`, `${cert.trimEnd()}\n${key.trimEnd()}\n`);
  }

  tries(id: string): StoredTries {
    try {
      const { failures, notBefore, problem } = JSON.parse(this.#read(`certificates/${id}.tries.json`)) as StoredTries;
      const known = Number.isSafeInteger(failures) && Number.isFinite(notBefore) && typeof problem === "string";
      return known ? { failures, notBefore, problem } : noTries;
    } catch {
      return noTries;
    }
  }

  putTries(id: string, tries: StoredTries): void {
    if (tries.failures > 0) this.#write(`certificates/${id}.tries.json`, `${JSON.stringify(tries)}\n`);
    else rmSync(join(this.folder, `certificates/${id}.tries.json`), { force: true });
  }

  /** Files that a program left behind which died while it wrote; called by the holder of the lock only. */
  sweep(): void {
    for (const folder of [this.folder, join(this.folder, "certificates")]) {
      for (const name of readdirSync(folder)) if (name.endsWith(".part")) rmSync(join(folder, name), { force: true });
    }
  }

  #read(name: string): string {
    try {
      return readFileSync(join(this.folder, name), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
      throw error;
    }
  }

  #write(name: string, text: string): void {
    const file = join(this.folder, name);
    const beside = `${file}.${process.pid}.part`;
    writeFileSync(beside, text, { mode: 0o600, flush: true });
    renameSync(beside, file);
  }
}

/** Eight hex digits: tells a few dozen apart. */
export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

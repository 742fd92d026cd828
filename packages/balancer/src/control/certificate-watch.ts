// Looks whether files of certificates have changed, and takes new ones into the running plan: who renews a certificate has
// nobody to tell. Files are looked at rather than subscribed to: what is mounted or linked is often replaced as a whole, and
// no event tells of that.
import { statSync } from "node:fs";
import { readAuthorities, readCertificate } from "../config/certificate/read.ts";
import { judgeRevocations } from "../config/certificate/revocations.ts";
import { planKeyPair } from "../config/plan-tls.ts";
import type { FileReader } from "../config/file-reader.ts";
import { readText } from "../config/file-reader.ts";
import type { Plan } from "../config/plan.ts";
import { disk } from "../config/disk.ts";
import type { Clock } from "../base/clock.ts";
import { systemClock, systemTimers, type Timers } from "../net/clock.ts";
import type { Log } from "../observe/log.ts";
import type { CertificatePlan, PemFilePlan } from "../pool/plan.ts";
import type { RunningPlan } from "./reload.ts";

export interface CertificateWatchNeeds {
  readonly log: Pick<Log, "event">;
  readonly running: Pick<RunningPlan, "plan" | "change">;
  readonly clock?: Clock;
  readonly timers?: Timers;
  readonly reader?: FileReader;
  /** What a file looks like from outside; "" = it is not there. Another text is another file. */
  readonly look?: (path: string) => string;
}

/** Ms between two looks. A file that changed must look the same in two of them: it may be half written. */
const interval = 1_000;

export class CertificateWatch {
  readonly #log: Pick<Log, "event">;
  readonly #running: Pick<RunningPlan, "plan" | "change">;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #reader: FileReader;
  readonly #look: (path: string) => string;
  /** How the files of the running plan looked when they were taken, or were found wanting. */
  #known: ReadonlyMap<string, string> = new Map();
  /** How they looked in the last look, if that was otherwise. */
  #changed: ReadonlyMap<string, string> | null = null;
  #busy = false;
  #stop: () => void = () => {};

  constructor(needs: CertificateWatchNeeds) {
    this.#log = needs.log;
    this.#running = needs.running;
    this.#clock = needs.clock ?? systemClock;
    this.#timers = needs.timers ?? systemTimers;
    this.#reader = needs.reader ?? disk;
    this.#look = needs.look ?? lookAt;
  }

  /** What the files hold is compared at first: they were read with the configuration, and may have been replaced since. */
  start(): void {
    this.#stop = this.#timers.every(interval, () => void this.look());
  }

  stop(): void {
    this.#stop();
  }

  /** Looks once. */
  async look(): Promise<void> {
    if (this.#busy) return;
    const now = this.#see();
    if (same(now, this.#known)) {
      this.#changed = null;
      return;
    }
    // A reload brought other files; it has read them.
    const settled = this.#changed !== null && same(now, this.#changed);
    this.#changed = now;
    if (!settled) return;
    this.#busy = true;
    try {
      await this.#take([...now.keys()].filter((path) => now.get(path) !== this.#known.get(path)));
    } finally {
      this.#known = now;
      this.#changed = null;
      this.#busy = false;
    }
  }

  async #take(files: readonly string[]): Promise<void> {
    const log = this.#log;
    const running = this.#running;
    const read = this.#read(running.plan);
    const told = files.join(", ");
    if ("problem" in read) {
      log.event("error", "tls.certificate-refused", `${told} changed, and the old one stays: ${read.problem}`);
      return;
    }
    if (JSON.stringify(read.plan) === JSON.stringify(running.plan)) return;
    // The plan as it is when its turn comes: a reload may have been first.
    const result = await running.change(() => {
      const again = this.#read(running.plan);
      return Promise.resolve("problem" in again ? { problems: [again.problem] } : again.plan);
    }, "certificate files");
    if (result.ok && result.changes.length === 0) return;
    if (result.ok) log.event("info", "tls.certificate-replaced", `${told} changed: ${result.changes.join("; ")}`);
    else {
      const problems = result.problems.join("; ");
      log.event("error", "tls.certificate-refused", `${told} changed, and the old one stays: ${problems}`);
    }
  }

  /** The plan with its files read again, or what is wrong with one of them. */
  #read(plan: Plan): { readonly plan: Plan } | { readonly problem: string } {
    try {
      const next: Plan = {
        ...plan,
        listeners: plan.listeners.map((listener) => {
          const { tls } = listener;
          if (tls === null) return listener;
          const certificates = tls.certificates.map((one) => this.#pair(one, "server"));
          return {
            ...listener,
            tls: { ...tls, certificates, ca: this.#authorities(tls.ca), crl: this.#revocations(tls.crl) },
          };
        }),
        pools: plan.pools.map((source) => {
          const { tls } = source.pool;
          if (tls === null) return source;
          const client = tls.client === null ? null : this.#pair(tls.client, "client");
          return { ...source, pool: { ...source.pool, tls: { ...tls, ca: this.#authorities(tls.ca), client } } };
        }),
      };
      return { plan: next };
    } catch (error) {
      if (error instanceof Unusable) return { problem: error.message };
      throw error;
    }
  }

  #pair(before: CertificatePlan, purpose: "server" | "client"): CertificatePlan {
    const { certFile, keyFile } = before;
    const cert = this.#text(certFile);
    const key = this.#text(keyFile);
    if (cert === before.cert && key === before.key) return before;
    const { facts, findings } = readCertificate(cert, key, this.#clock.wall(), purpose);
    const wrong = findings.find(({ severity }) => severity === "error");
    if (facts === null || wrong !== undefined) {
      const file = wrong?.part === "key" ? keyFile : certFile;
      throw new Unusable(
        `${file}: ${wrong?.message ?? "it cannot be used"}${wrong === undefined ? "" : `; ${wrong.hint}`}`,
      );
    }
    return planKeyPair({ certFile, keyFile, cert, key, facts });
  }

  /** Judged like the first time: a file without authorities would mean the system's, to which anybody can go. */
  #authorities(before: PemFilePlan): PemFilePlan {
    if (before.file === "") return before;
    const pem = this.#text(before.file);
    if (pem === before.pem) return before;
    const wrong = readAuthorities(pem, this.#clock.wall()).findings.find(({ severity }) => severity === "error");
    if (wrong !== undefined) throw new Unusable(`${before.file}: ${wrong.message}; ${wrong.hint}`);
    return { file: before.file, pem };
  }

  #revocations(before: PemFilePlan): PemFilePlan {
    if (before.file === "") return before;
    const pem = this.#text(before.file);
    if (pem === before.pem) return before;
    const wrong = judgeRevocations(pem, "", this.#clock.wall()).find(({ severity }) => severity === "error");
    if (wrong !== undefined) throw new Unusable(`${before.file}: ${wrong.message}; ${wrong.hint}`);
    return { file: before.file, pem };
  }

  #text(path: string): string {
    const text = readText(path, this.#reader);
    if (typeof text === "string") return text;
    throw new Unusable(`${path} cannot be read: ${text.why}`);
  }

  #see(): Map<string, string> {
    return new Map(filesOf(this.#running.plan).map((path) => [path, this.#look(path)]));
  }
}

/** Why the files cannot be taken; a sentence. */
class Unusable extends Error {}

/** Every file that the plan's certificates were read from, each once. */
function filesOf(plan: Plan): string[] {
  const files = new Set<string>();
  const pair = ({ certFile, keyFile }: CertificatePlan): void => void files.add(certFile).add(keyFile);
  for (const { tls } of plan.listeners) {
    tls?.certificates.forEach(pair);
    if (tls !== null) files.add(tls.ca.file).add(tls.crl.file);
  }
  for (const { pool } of plan.pools) {
    if (pool.tls?.client) pair(pool.tls.client);
    if (pool.tls !== null) files.add(pool.tls.ca.file);
  }
  files.delete("");
  return [...files];
}

function lookAt(path: string): string {
  const seen = statSync(path, { throwIfNoEntry: false, bigint: true });
  return seen === undefined ? "" : `${seen.ino} ${seen.size} ${seen.mtimeNs}`;
}

function same(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([path, look]) => b.get(path) === look);
}

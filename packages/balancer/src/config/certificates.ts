// Certificates and keys that the configuration names: read when the plan is made, judged for whoever must see them accepted.
import { type CertificateFinding } from "./certificate/finding.ts";
import { covers } from "./certificate/names.ts";
import { readAuthorities, readCertificate, type CertificateFacts, type Purpose } from "./certificate/read.ts";
import { judgeRevocations } from "./certificate/revocations.ts";
import { formatKeyKind } from "./certificate/key.ts";
import { readText, type FileReader } from "./file-reader.ts";
import { error, warning, type Finding, type Path } from "./problem.ts";
import type { Config } from "./schema/config.ts";
import type { ListenerConfig } from "./schema/listeners.ts";

/** A certificate with its key, as the plan carries them. */
export interface KeyPair {
  /** Paths as `FileReader.resolve` gave them. */
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM. */
  readonly cert: string;
  /** PEM. Never to be shown. */
  readonly key: string;
  readonly facts: CertificateFacts;
}

/** By which certificates of clients are judged. */
export interface ClientAuthorities {
  readonly ca: { readonly file: string; readonly pem: string };
  readonly crl: { readonly file: string; readonly pem: string };
}

/** What a pool's `tls` names. */
export interface PoolCertificates {
  readonly ca: { readonly file: string; readonly pem: string };
  readonly client: KeyPair | null;
}

export interface Certificates {
  /** By listener, in the order in which they are written; what cannot be used is missing, and is an error. */
  readonly listeners: ReadonlyMap<string, readonly KeyPair[]>;
  /** Listeners that ask clients for certificates. */
  readonly clientAuthorities: ReadonlyMap<string, ClientAuthorities>;
  readonly pools: ReadonlyMap<string, PoolCertificates>;
}

export const noCertificates: Certificates = {
  listeners: new Map(),
  clientAuthorities: new Map(),
  pools: new Map(),
};

/** Reads everything. What is wrong with it becomes findings. */
export function readCertificates(
  config: Config,
  file: string,
  reader: FileReader,
): { readonly certificates: Certificates; readonly findings: Finding[] } {
  const findings: Finding[] = [];
  const files = new Files(file, reader, findings);
  const listeners = new Map<string, readonly KeyPair[]>();
  const clientAuthorities = new Map<string, ClientAuthorities>();
  for (const [name, listener] of Object.entries(config.listeners)) {
    const written = listener.tls?.certificates ?? [];
    const path = ["listeners", name, "tls", "certificates"];
    const read = written.map((pair, index) => files.keyPair(pair, [...path, index], "server"));
    const pairs = read.filter((pair) => pair !== null);
    listeners.set(name, pairs);
    const asked = listener.tls?.clientCertificates;
    if (asked !== undefined) {
      clientAuthorities.set(name, files.clientAuthorities(asked, ["listeners", name, "tls", "clientCertificates"]));
    }
    findings.push(...findTwins(read, path));
    const ordered = listener.tls?.acme ?? [];
    if (written.length + ordered.length > 0 && pairs.length === written.length) {
      const names = [...pairs.flatMap(({ facts }) => facts.names), ...ordered];
      findings.push(...findUncovered(listener, names, ["listeners", name]));
    }
  }
  const pools = new Map<string, PoolCertificates>();
  for (const [name, { tls }] of Object.entries(config.pools)) {
    if (tls !== undefined) pools.set(name, files.poolFiles(tls, ["pools", name, "tls"]));
  }
  return { certificates: { listeners, clientAuthorities, pools }, findings };
}

type PoolTlsConfig = NonNullable<Config["pools"][string]["tls"]>;

/** Reads files beside one configuration, and says what is wrong with them. */
class Files {
  readonly #from: string;
  readonly #reader: FileReader;
  readonly #findings: Finding[];

  constructor(from: string, reader: FileReader, findings: Finding[]) {
    this.#from = from;
    this.#reader = reader;
    this.#findings = findings;
  }

  keyPair(written: { readonly cert: string; readonly key: string }, path: Path, purpose: Purpose): KeyPair | null {
    const cert = this.#read(written.cert, [...path, "cert"], "the certificate");
    const key = this.#read(written.key, [...path, "key"], "the key");
    if (cert === null || key === null) return null;
    const { facts, findings } = readCertificate(cert.text, key.text, this.#now, purpose);
    for (const one of findings) this.#tell(one, one.part === "cert" ? cert.full : key.full, [...path, one.part]);
    this.#judgeMode(key.full, [...path, "key"]);
    return facts === null ? null : { certFile: cert.full, keyFile: key.full, cert: cert.text, key: key.text, facts };
  }

  clientAuthorities(asked: { readonly ca: string; readonly crl?: string | undefined }, path: Path): ClientAuthorities {
    const ca = this.#read(asked.ca, [...path, "ca"], "the file of authorities");
    for (const one of ca === null ? [] : readAuthorities(ca.text, this.#now).findings) {
      this.#tell(one, ca?.full ?? "", [...path, "ca"]);
    }
    const crl = asked.crl === undefined ? null : this.#read(asked.crl, [...path, "crl"], "the revocation list");
    for (const one of crl === null ? [] : judgeRevocations(crl.text, ca?.text ?? "", this.#now)) {
      this.#tell(one, crl?.full ?? "", [...path, "crl"]);
    }
    return {
      ca: { file: ca?.full ?? "", pem: ca?.text ?? "" },
      crl: { file: crl?.full ?? "", pem: crl?.text ?? "" },
    };
  }

  poolFiles({ ca, cert, key }: PoolTlsConfig, path: Path): PoolCertificates {
    let authorities = { file: "", pem: "" };
    if (ca !== undefined) {
      const read = this.#read(ca, [...path, "ca"], "the file of authorities");
      if (read !== null) authorities = { file: read.full, pem: read.text };
      for (const one of read === null ? [] : readAuthorities(read.text, this.#now).findings) {
        this.#tell(one, read?.full ?? "", [...path, "ca"]);
      }
    }
    if (cert !== undefined && key !== undefined) {
      return { ca: authorities, client: this.keyPair({ cert, key }, path, "client") };
    }
    if (cert !== undefined || key !== undefined) {
      const [there, missing] = cert === undefined ? (["key", "cert"] as const) : (["cert", "key"] as const);
      this.#findings.push(
        error(
          [...path, there],
          `a client certificate has two parts, and ${missing} is missing`,
          `add ${missing}, or remove ${there}`,
        ),
      );
    }
    return { ca: authorities, client: null };
  }

  /** Without a clock every certificate is looked at as on its first day. */
  get #now(): number {
    return this.#reader.wall?.() ?? Number.NaN;
  }

  #read(written: string, path: Path, what: string): { readonly text: string; readonly full: string } | null {
    const full = this.#reader.resolve(this.#from, written);
    const text = readText(full, this.#reader);
    if (typeof text === "string") return { text, full };
    const hint = `paths are relative to the configuration: this one is ${full}`;
    this.#findings.push(error(path, `${what} cannot be read: ${text.why}`, hint));
    return null;
  }

  #tell({ severity, message, why, hint }: CertificateFinding, file: string, path: Path): void {
    this.#findings.push({ severity, path, message: `${file}: ${message}`, ...(why !== undefined && { why }), hint });
  }

  #judgeMode(file: string, path: Path): void {
    const mode = this.#reader.mode?.(file) ?? 0;
    if ((mode & 0o006) === 0) return;
    const who = (mode & 0o002) === 0 ? "read" : "replaced";
    const message = `${file}: the key can be ${who} by every user of this machine (mode ${mode.toString(8)})`;
    this.#findings.push(
      warning(path, message, `chmod 600 ${file}, owned by the user of this program; 640 for a group`),
    );
  }
}

/** Of two with the same name and kind of key only one can ever be shown for that name. */
function findTwins(pairs: readonly (KeyPair | null)[], path: Path): Finding[] {
  return pairs.flatMap((pair, index) => {
    if (pair === null) return [];
    const { names, key, fingerprint } = pair.facts;
    const before = pairs.slice(0, index);
    const place = [...path, index, "cert"];
    const same = before.findIndex((one) => one?.facts.fingerprint === fingerprint);
    if (same >= 0) {
      const finding = warning(place, "this certificate stands here twice: {other} is the same", "remove one of them");
      return [{ ...finding, other: [...path, same, "cert"] }];
    }
    const rivals = before.map((one) =>
      one?.facts.key.kind === key.kind ? names.filter((name) => one.facts.names.includes(name)) : [],
    );
    const rival = rivals.findIndex((shared) => shared.length > 0);
    const shared = rivals[rival];
    if (shared === undefined) return [];
    const shown =
      shared.length > 3 ? `${shared.slice(0, 3).join(", ")} and ${shared.length - 3} more` : shared.join(", ");
    const kind = formatKeyKind(key).split(" ")[0];
    const finding = warning(
      place,
      `{other} holds ${shown} with a key of the same kind (${kind}) already, and only one of the two can be shown`,
      "remove one of them; an RSA and an ECDSA certificate of one name go together",
    );
    return [{ ...finding, other: [...path, rival, "cert"] }];
  });
}

/** Hosts that routes ask for and that no certificate holds: clients would be shown another one and give up. */
function findUncovered({ routes }: ListenerConfig, names: readonly string[], path: Path): Finding[] {
  return routes.flatMap((route, index) => {
    const host = route.match?.host;
    if (host === undefined || host.kind === "any") return [];
    const bare = host.host.replace(/^\[(.*)\]$/, "$1");
    const covered =
      host.kind === "exact"
        ? covers(names, bare)
        : names.some((name) => name === `*.${bare}` || name.endsWith(`.${bare}`));
    if (covered) return [];
    const shown = host.kind === "exact" ? bare : `*.${bare}`;
    const held = names.length > 6 ? `${names.slice(0, 6).join(", ")}, ...` : names.join(", ");
    return [
      {
        ...warning(
          [...path, "routes", index, "match", "host"],
          `no certificate of this listener holds ${shown}; they hold ${held === "" ? "no name at all" : held}`,
          `add a certificate for ${shown} to tls.certificates`,
        ),
        why: "clients that ask for it are shown a certificate of another name and refuse the connection",
      },
    ];
  });
}

// Names of endpoints to addresses, with the real times to live: what `dns.lookup` does not tell. The hosts file comes
// first, `localhost` is always this machine (RFC 6761 §6.3), the rest is asked of the servers in resolv.conf.

import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import type { Clock } from "../base/clock.ts";
import { readAnswer, type ResolveFailureKind, type ResolverType, type SrvRecord } from "./dns-answer.ts";
import { askServer } from "./dns-exchange.ts";
import {
  candidates,
  isName,
  parseHosts,
  parseResolvConf,
  type DnsServer,
  type ResolverConfig,
} from "./resolver-config.ts";

export type { ResolveFailureKind, SrvRecord } from "./dns-answer.ts";
export type { DnsServer } from "./resolver-config.ts";

/** Records, valid for `ttl` seconds. */
export interface Resolved<Data> {
  readonly records: readonly Data[];
  readonly ttl: number;
}

/** No records. `failure` is a sentence for people; `ttl` says how many seconds a "nxdomain" or "empty" holds. */
export interface Unresolved {
  readonly failure: string;
  readonly kind: ResolveFailureKind;
  readonly ttl?: number;
}

/** Looks names up. Nothing is cached: whoever asks keeps the answer for its TTL. Never rejects. */
export interface Resolver {
  resolve(name: string, type: "A" | "AAAA"): Promise<Resolved<string> | Unresolved>;
  resolve(name: string, type: "SRV"): Promise<Resolved<SrvRecord> | Unresolved>;
  /** Gives up all questions under way; they and later ones fail with "closed". */
  close(): void;
}

/** What a resolver can be built with. */
export interface ResolverOptions {
  readonly clock: Clock;
  /** Instead of those in resolv.conf, whose other settings still hold. */
  readonly servers?: readonly DnsServer[];
  /** Path of the hosts file. Default /etc/hosts. */
  readonly hosts?: string;
  /** Path of the resolver's configuration. Default /etc/resolv.conf. */
  readonly resolvConf?: string;
  /** For one question to one server, instead of the configured 5 s. */
  readonly timeoutMs?: number;
}

// How long facts from files hold; also how often the files are looked at.
const filesTtl = 5;
const maxChases = 8;

type Outcome = Resolved<string | SrvRecord> | Unresolved;

/** Makes a resolver. Both files are read again when they change. */
export function createResolver(options: ResolverOptions): Resolver {
  const { clock } = options;
  const readHosts = watchedFile(options.hosts ?? "/etc/hosts", clock, parseHosts);
  const readConfig = watchedFile(options.resolvConf ?? "/etc/resolv.conf", clock, parseResolvConf);
  const closing = new AbortController();
  const underWay = new Map<string, Promise<Outcome>>();
  let turn = 0;

  async function look(given: string, type: ResolverType): Promise<Outcome> {
    const name = asciiName(given);
    if (name === undefined) return failed("invalid-name", `"${given}" is not a name that DNS knows.`);
    const known = type === "SRV" ? undefined : knownHere(name, type);
    if (known !== undefined) return known;
    const config = readConfig();
    let negative: Unresolved | undefined;
    for (const candidate of candidates(name, config)) {
      const outcome = await lookUp(candidate, type, config);
      if ("records" in outcome) return outcome;
      // An unknown must not fall through to the next domain of the search list: it may be another service's name.
      if (outcome.kind !== "nxdomain" && outcome.kind !== "empty") return outcome;
      if (negative === undefined || outcome.kind === "empty") negative = outcome;
    }
    return negative ?? failed("invalid-name", `"${given}" is too long with every search domain.`);
  }

  function knownHere(name: string, type: "A" | "AAAA"): Outcome | undefined {
    const bare = (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
    const family = isIP(bare);
    if (family !== 0) return local((family === 4) === (type === "A") ? [bare] : [], bare, type);
    if (bare === "localhost" || bare.endsWith(".localhost"))
      return local([type === "A" ? "127.0.0.1" : "::1"], bare, type);
    const entry = readHosts().get(bare);
    return entry && local(entry[type], bare, type);
  }

  // Follows aliases that the server left to us.
  async function lookUp(first: string, type: ResolverType, config: ResolverConfig): Promise<Outcome> {
    let name = first;
    let ttl = Infinity;
    for (let chases = 0; chases <= maxChases; chases++) {
      const outcome = await askAll(name, type, config);
      if ("alias" in outcome) {
        ttl = Math.min(ttl, outcome.ttl);
        name = outcome.alias;
      } else if ("records" in outcome) {
        return { records: outcome.records, ttl: Math.min(ttl, outcome.ttl) };
      } else {
        return outcome;
      }
    }
    return failed("malformed", `The aliases of ${first} do not end.`);
  }

  async function askAll(
    name: string,
    type: ResolverType,
    config: ResolverConfig,
  ): Promise<Outcome | { alias: string; ttl: number }> {
    const servers = options.servers ?? config.servers;
    const start = config.rotate ? turn++ : 0;
    let last = failed("timeout", `No DNS server was asked for ${name}.`);
    for (let attempt = 0; attempt < config.attempts; attempt++) {
      for (let i = 0; i < servers.length; i++) {
        const server = servers[(start + i) % servers.length]!;
        const question = { name, type, timeoutMs: options.timeoutMs ?? config.timeoutMs, tcpOnly: config.tcpOnly };
        const reply = await askServer(server, question, closing.signal);
        const by = `DNS server ${server.host} on ${name} ${type}`;
        if ("failure" in reply) {
          last = failed(reply.failure, `${by}: ${reply.cause}.`);
          if (reply.failure === "closed") return last;
          continue;
        }
        const meaning = readAnswer(reply.packet, name, type);
        if (meaning.kind === "records") return { records: meaning.records, ttl: meaning.ttl };
        if (meaning.kind === "alias") return { alias: meaning.name, ttl: meaning.ttl };
        last = failed(meaning.kind, `${by}: ${sentences[meaning.kind]}.`, meaning.ttl);
        if (meaning.kind === "nxdomain" || meaning.kind === "empty") return last;
      }
    }
    return last;
  }

  return {
    resolve(name: string, type: ResolverType): Promise<never> {
      const key = `${type} ${name}`;
      let promise = underWay.get(key);
      if (promise === undefined) {
        // Two pools with the same name ask once.
        promise = look(name, type).finally(() => underWay.delete(key));
        underWay.set(key, promise);
      }
      return promise as Promise<never>;
    },
    close(): void {
      closing.abort();
    },
  };
}

const sentences: Record<ResolveFailureKind, string> = {
  nxdomain: "the name does not exist",
  empty: "the name has no such records",
  servfail: "the server failed (SERVFAIL)",
  refused: "the server refuses to say (REFUSED)",
  malformed: "the answer makes no sense",
  timeout: "no answer in time",
  unreachable: "no way to the server",
  "invalid-name": "not a name",
  closed: "the resolver was closed",
};

function failed(kind: ResolveFailureKind, failure: string, ttl?: number): Unresolved {
  return ttl === undefined ? { failure, kind } : { failure, kind, ttl };
}

function local(addresses: readonly string[], name: string, type: ResolverType): Outcome {
  if (addresses.length === 0) return failed("empty", `${name} has no ${type} address on this machine.`, filesTtl);
  return { records: addresses, ttl: filesTtl };
}

// People write names in their own letters; DNS has them as punycode.
function asciiName(given: string): string | undefined {
  const bare = given.endsWith(".") ? given.slice(0, -1) : given;
  if (isIP(bare) !== 0) return given;
  const ascii = /^[\x21-\x7e]*$/.test(bare) ? bare : domainToASCII(bare);
  return isName(ascii) ? ascii + given.slice(bare.length) : undefined;
}

// A file that is missing reads as empty.
function watchedFile<Parsed>(path: string, clock: Clock, parse: (text: string) => Parsed): () => Parsed {
  let lookedAt = -Infinity;
  let stamp = "";
  let parsed = parse("");
  return () => {
    if (clock.now() - lookedAt < filesTtl * 1000) return parsed;
    lookedAt = clock.now();
    try {
      const { mtimeMs, size, ino } = statSync(path);
      const now = `${mtimeMs} ${size} ${ino}`;
      if (now !== stamp) parsed = parse(readFileSync(path, "utf8"));
      stamp = now;
    } catch {
      stamp = "";
      parsed = parse("");
    }
    return parsed;
  };
}

// What a DNS answer means for one question. Answers come from the network: everything in them may be a lie, a loop or
// too much. Pure; the borrowed codec (dns-packet) has already taken the bytes apart.

import type { DecodedPacket } from "dns-packet";
import { isName } from "./resolver-config.ts";

/** The types that endpoints need. */
export type ResolverType = "A" | "AAAA" | "SRV";

/** One SRV record (RFC 2782). */
export interface SrvRecord {
  readonly target: string;
  readonly port: number;
  /** Lower is tried first. */
  readonly priority: number;
  /** Share among equals in priority. */
  readonly weight: number;
}

/** Why there are no records. "nxdomain" and "empty" are facts about the name; the others say that it is not known. */
export type ResolveFailureKind =
  | "nxdomain" // the name does not exist
  | "empty" // it exists but has no such records
  | "servfail" // the server could not find out
  | "refused" // the server would not say
  | "malformed" // the answer made no sense
  | "timeout"
  | "unreachable" // no way to the server, or nobody there
  | "invalid-name"
  | "closed"; // the resolver was closed meanwhile

/** What one answer says. */
export type AnswerMeaning<Data> =
  | { readonly kind: "records"; readonly records: Data[]; readonly ttl: number }
  /** The chain of aliases leaves this answer: ask for `name` next. */
  | { readonly kind: "alias"; readonly name: string; readonly ttl: number }
  | { readonly kind: ResolveFailureKind; readonly ttl?: number };

/** More endpoints than this behind one name are a mistake or an attack; the first ones are taken. */
export const maxRecords = 1000;
const maxAliases = 16;
// RFC 8767 §4: longer ones are capped; a TTL with the top bit set is 0 (RFC 2181 §8).
const maxTtl = 7 * 24 * 3600;

/** Reads the answer to `name` and `type`. TTLs are seconds, the lowest on the way. */
export function readAnswer(packet: DecodedPacket, name: string, type: ResolverType): AnswerMeaning<string | SrvRecord> {
  const rcode = (packet as { rcode?: string }).rcode;
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return { kind: rcodeMeaning(rcode) };
  const answers = packet.answers ?? [];
  let current = name.toLowerCase();
  let ttl = maxTtl;
  const seen = new Set([current]);
  for (let hops = 0; hops <= maxAliases; hops++) {
    const records: (string | SrvRecord)[] = [];
    let alias: string | undefined;
    for (const answer of answers) {
      if (answer.name.toLowerCase() !== current) continue;
      if (answer.type === type) {
        const record = type === "SRV" ? srvRecord(answer.data) : address(answer.data, type);
        if (record === undefined) continue;
        ttl = Math.min(ttl, ttlOf(answer));
        if (records.length < maxRecords) records.push(record);
      } else if (answer.type === "CNAME" && alias === undefined && typeof answer.data === "string") {
        alias = answer.data.toLowerCase();
        ttl = Math.min(ttl, ttlOf(answer));
      }
    }
    if (records.length > 0) return { kind: "records", records: distinct(records), ttl };
    if (alias === undefined) {
      // RFC 6604 §3: the code is about the last name of the chain.
      if (rcode === "NXDOMAIN") return { kind: "nxdomain", ttl: negativeTtl(packet) };
      return hops > 0 && !hasSoa(packet)
        ? { kind: "alias", name: current, ttl }
        : { kind: "empty", ttl: negativeTtl(packet) };
    }
    if (seen.has(alias) || !isName(alias)) return { kind: "malformed" };
    seen.add(alias);
    current = alias;
  }
  return { kind: "malformed" };
}

/** Whether `packet` answers this question, as RFC 5452 §9.1 demands. The letters' case is the server's business. */
export function answersQuestion(packet: DecodedPacket, id: number, name: string, type: ResolverType): boolean {
  const question = packet.questions?.[0];
  if (packet.id !== id || packet.type !== "response" || question === undefined) return false;
  return question.type === type && question.name.toLowerCase() === name.toLowerCase();
}

function rcodeMeaning(rcode: string | undefined): ResolveFailureKind {
  if (rcode === "REFUSED" || rcode === "NOTAUTH") return "refused";
  return rcode === "FORMERR" || rcode === undefined ? "malformed" : "servfail";
}

// A server that knows the end of the chain to be empty says so with its SOA (RFC 2308 §2.2); one that did not look has
// none, and the rest of the chain is ours to ask for.
function hasSoa(packet: DecodedPacket): boolean {
  return (packet.authorities ?? []).some((record) => record.type === "SOA");
}

// RFC 2308 §5.
function negativeTtl(packet: DecodedPacket): number {
  for (const record of packet.authorities ?? []) {
    if (record.type === "SOA") return Math.min(ttlOf(record), cappedTtl(record.data.minimum));
  }
  return 0;
}

function ttlOf(record: object): number {
  return cappedTtl((record as { ttl?: unknown }).ttl);
}

function cappedTtl(ttl: unknown): number {
  return typeof ttl !== "number" || !(ttl >= 0) || ttl > 0x7fff_ffff ? 0 : Math.min(ttl, maxTtl);
}

function address(data: unknown, type: "A" | "AAAA"): string | undefined {
  if (typeof data !== "string") return undefined;
  return data.includes(":") === (type === "AAAA") ? data : undefined;
}

// A target of "." says that the service is decidedly not there (RFC 2782), which leaves no record.
function srvRecord(data: unknown): SrvRecord | undefined {
  const { target, port, priority, weight } = data as Partial<SrvRecord>;
  if (typeof target !== "string" || typeof port !== "number" || !isName(target) || port === 0) return undefined;
  return { target: target.toLowerCase(), port, priority: priority ?? 0, weight: weight ?? 0 };
}

function distinct(records: (string | SrvRecord)[]): (string | SrvRecord)[] {
  const seen = new Map(records.map((record) => [typeof record === "string" ? record : JSON.stringify(record), record]));
  return [...seen.values()];
}

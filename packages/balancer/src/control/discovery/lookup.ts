// One look-up of a name: A and AAAA together, or SRV and then the addresses of its targets.
import type { NamePlan } from "../../config/plan.ts";
import type { Resolver, Unresolved } from "../../net/resolver.ts";
import type { ResolvedAddress } from "../compose.ts";

/** What a name stands for, for `ttl` seconds, in an order that does not depend on the server's. */
export interface Found {
  readonly addresses: readonly ResolvedAddress[];
  readonly ttl: number;
}

/** Why nobody knows. */
export interface NotFound {
  readonly failure: string;
  /** Nobody could say; otherwise somebody said that there is nothing. */
  readonly passing: boolean;
}

/** Instances that one SRV answer may name; more are left out. */
const mostTargets = 256;

/** Looks a name up. `before` is its last good answer, for when only a part of it can be asked again. */
export async function lookUp(
  resolver: Resolver,
  name: NamePlan,
  before: readonly ResolvedAddress[],
): Promise<Found | NotFound> {
  const found =
    name.kind === "srv" ? await services(resolver, name.name, before) : await addresses(resolver, name, before);
  if ("failure" in found) return found;
  return { ttl: found.ttl, addresses: found.addresses.toSorted(byAddress) };
}

async function addresses(
  resolver: Resolver,
  { name, port }: { readonly name: string; readonly port: number },
  before: readonly ResolvedAddress[],
): Promise<Found | NotFound> {
  const [four, six] = await Promise.all([resolver.resolve(name, "A"), resolver.resolve(name, "AAAA")]);
  const kept: string[] = [];
  let ttl = Infinity;
  for (const [answer, family] of [
    [four, 4],
    [six, 6],
  ] as const) {
    if ("records" in answer) {
      kept.push(...answer.records);
      ttl = Math.min(ttl, answer.ttl);
    } else if (isPassing(answer)) {
      // Unknown is not none: the addresses of this family stay until somebody says that they are gone.
      kept.push(...before.flatMap(({ host }) => ((host.includes(":") ? 6 : 4) === family ? [host] : [])));
      ttl = Math.min(ttl, 5);
    }
  }
  if ("failure" in four && "failure" in six) {
    return { failure: four.failure, passing: isPassing(four) || isPassing(six) };
  }
  if (kept.length === 0) return { failure: "the answer names no address", passing: false };
  return { ttl, addresses: [...new Set(kept)].map((host) => ({ host, port, weight: 1, backup: false })) };
}

async function services(
  resolver: Resolver,
  name: string,
  before: readonly ResolvedAddress[],
): Promise<Found | NotFound> {
  const answer = await resolver.resolve(name, "SRV");
  if ("failure" in answer) return { failure: answer.failure, passing: isPassing(answer) };
  // RFC 2782: a single "." says that the service is decidedly not available here.
  const records = answer.records
    .filter((record) => record.target !== "." && record.target !== "")
    .slice(0, mostTargets);
  if (records.length === 0) return { failure: "the answer names no target", passing: false };
  const best = Math.min(...records.map((record) => record.priority));
  const resolved = await Promise.all(
    records.map(async (record) => {
      const host = await addresses(resolver, { name: record.target, port: record.port }, of(before, record.port));
      if ("failure" in host) return host;
      // Weight 0 means "hardly any", not none; ours are at least 1.
      const weight = Math.max(1, record.weight);
      const backup = record.priority > best;
      return { ttl: host.ttl, addresses: host.addresses.map((each) => ({ ...each, weight, backup })) };
    }),
  );
  const good = resolved.flatMap((each) => ("failure" in each ? [] : [each]));
  const [bad] = resolved.flatMap((each) => ("failure" in each ? [each] : []));
  // With one target unknown for a moment, the whole of the last good answer is better than a part of this one.
  if (bad !== undefined && (good.length === 0 || (bad.passing && before.length > 0))) return bad;
  return {
    ttl: Math.min(answer.ttl, ...good.map((each) => each.ttl)),
    addresses: distinct(good.flatMap((each) => each.addresses)),
  };
}

function isPassing(answer: Unresolved): boolean {
  return answer.kind !== "empty" && answer.kind !== "nxdomain" && answer.kind !== "invalid-name";
}

function of(before: readonly ResolvedAddress[], port: number): ResolvedAddress[] {
  return before.filter((each) => each.port === port);
}

/** Two targets may be the same machine: it is one endpoint then, of the better tier and the greater weight. */
function distinct(all: readonly ResolvedAddress[]): ResolvedAddress[] {
  const found = new Map<string, ResolvedAddress>();
  for (const each of all) {
    const key = `${each.host} ${each.port}`;
    const other = found.get(key);
    const better =
      other === undefined ||
      (other.backup && !each.backup) ||
      (other.backup === each.backup && each.weight > other.weight);
    if (better) found.set(key, each);
  }
  return [...found.values()];
}

function byAddress(a: ResolvedAddress, b: ResolvedAddress): number {
  return a.host < b.host ? -1 : a.host > b.host ? 1 : a.port - b.port;
}

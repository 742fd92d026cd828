// Plan + what names resolve to + what was set at run time + what an authority issued = what the engine runs. Pure: the one
// place where they meet, so that a reload, a DNS answer, `up`'s instances and a certificate all take the same path.
import type { NamePlan, Plan } from "../config/plan.ts";
import type { CertificatePlan, EndpointPlan } from "../pool/plan.ts";
import type { EnginePlan } from "../proxy/assemble.ts";
import type { ListenerPlan } from "../proxy/plan.ts";
import type { ProofPlan } from "../proxy/proofs.ts";

/** One address that a name stands for. */
export interface ResolvedAddress {
  readonly host: string;
  readonly port: number;
  /** Share within its answer; 1 where DNS tells none. */
  readonly weight: number;
  /** Of a lower priority than the best of its answer (SRV). */
  readonly backup: boolean;
}

/** Last good answers by `NamePlan.id`. */
export type Answers = ReadonlyMap<string, readonly ResolvedAddress[]>;

/** Endpoints set at run time, by pool: they replace what the plan says. */
export type Replacements = ReadonlyMap<string, readonly EndpointPlan[]>;

/** What was ordered from an authority, and what it must find meanwhile. */
export interface Issued {
  readonly challenges: readonly (readonly [token: string, body: string])[];
  readonly proofs: readonly ProofPlan[];
  /** What a listener of a plan with this `acme` shows beside the certificates that its own plan has. */
  certificatesFor(listener: string, acme: Plan["acme"]): readonly CertificatePlan[];
}

const nothingIssued: Issued = { challenges: [], proofs: [], certificatesFor: () => [] };

/** Every name of a plan, each once. */
export function namesOf(plan: Plan): NamePlan[] {
  const names = new Map<string, NamePlan>();
  for (const source of plan.pools) for (const name of source.names) names.set(name.id, name);
  return [...names.values()];
}

/** The plan with every name replaced by the endpoints it stands for; a name without an answer stands for none. */
export function compose(
  plan: Plan,
  answers: Answers,
  replacements: Replacements,
  issued: Issued = nothingIssued,
): EnginePlan {
  const { challenges, proofs } = issued;
  return {
    ...(challenges.length > 0 && { challenges }),
    ...(proofs.length > 0 && { proofs }),
    listeners: plan.listeners.map((listener) => withIssued(listener, plan.acme, issued)),
    pools: plan.pools.map(({ pool, names }) => {
      const replaced = replacements.get(pool.name);
      if (replaced !== undefined) return { ...pool, endpoints: replaced };
      if (names.length === 0) return pool;
      const resolved = names.flatMap((name) => (answers.get(name.id) ?? []).map((each) => endpointOf(name, each)));
      return { ...pool, endpoints: distinct([...pool.endpoints, ...resolved]) };
    }),
  };
}

function withIssued(listener: ListenerPlan, acme: Plan["acme"], issued: Issued): ListenerPlan {
  const { tls } = listener;
  const more = tls === null ? [] : issued.certificatesFor(listener.name, acme);
  if (tls === null || more.length === 0) return listener;
  return { ...listener, tls: { ...tls, certificates: [...tls.certificates, ...more] } };
}

function endpointOf(name: NamePlan, address: ResolvedAddress): EndpointPlan {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  const id = `${name.id}@${host}${name.kind === "srv" ? `:${address.port}` : ""}`;
  return {
    slot: -1,
    id,
    stableId: id,
    address: { kind: "tcp", host: address.host, port: address.port },
    serverName: name.kind === "srv" ? name.name.replace(/^(?:_[^.]*\.)+/, "") : name.name,
    weight: name.weight * address.weight,
    zone: name.zone,
    backup: name.backup || address.backup,
  };
}

function distinct(endpoints: readonly EndpointPlan[]): EndpointPlan[] {
  const seen = new Set<string>();
  return endpoints.filter((each) => !seen.has(each.id) && seen.add(each.id) !== undefined);
}

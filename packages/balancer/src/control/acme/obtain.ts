// One certificate from an authority, from the account to the chain: what RFC 8555 §7.4 has in steps, by acme-client.
import type * as Acme from "acme-client";
import { readCertificate } from "../../config/certificate/read.ts";
import type { AcmePlan, ChallengeKind } from "../../config/acme.ts";
import { loadAcmeClient } from "../certificate/libraries.ts";
import { CaRequests, type CaReach } from "./ca-requests.ts";
import type { StoredPair } from "./storage.ts";

/** One thing that the authority will look for. */
export interface Challenge {
  readonly kind: ChallengeKind;
  /** The name that is proved, without "*.". */
  readonly name: string;
  readonly token: string;
  /** What must be found: the body of http-01, the TXT record of dns-01; of tls-alpn-01 its hash. */
  readonly answer: string;
}

/** Whoever makes challenges findable. */
export interface Solver {
  /** Resolves when it can be found from everywhere; rejects with why it cannot. */
  present(challenge: Challenge): Promise<void>;
  /** Never rejects. */
  cleanup(challenge: Challenge): Promise<void>;
}

export interface ObtainOptions {
  readonly plan: Pick<AcmePlan, "directory" | "email" | "challenge" | "externalAccount">;
  readonly names: readonly string[];
  /** PEM. */
  readonly accountKey: string;
  readonly reach: CaReach;
  readonly solver: Solver;
  /** Ms between two looks at what the authority is still busy with. */
  readonly poll: number;
  readonly signal: AbortSignal;
}

/** Why there is no certificate, for people, and how long the authority wants to be left alone. */
export class ObtainError extends Error {
  override readonly name = "ObtainError";
  readonly retryAfter: number;

  constructor(message: string, retryAfter: number) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/** Rate limits that do not say how long are those of an hour. */
const limitedFor = 60 * 60_000;
/** Looks at what the authority is busy with. */
const looks = 40;

export async function newAccountKey(): Promise<string> {
  const acme = await loadAcmeClient();
  return (await acme.crypto.createPrivateEcdsaKey("P-256")).toString();
}

/** Orders it. Rejects with an ObtainError; what was presented is cleaned up in any case. */
export async function obtain(options: ObtainOptions): Promise<StoredPair> {
  const acme = await loadAcmeClient();
  const { plan, names, reach, signal } = options;
  const requests = new CaRequests(reach, signal);
  // One program orders one certificate at a time, so the library's single way to the network is ours for that time.
  acme.axios.defaults.adapter = requests.adapter as never;
  try {
    const pair = await order(options);
    const { facts, findings } = readCertificate(pair.cert, pair.key, reach.wall());
    const missing = facts === null ? [] : names.filter((name) => !facts.names.includes(name));
    if (facts === null) throw new Error(`what ${plan.directory} issued cannot be used: ${findings[0]?.message ?? ""}`);
    if (missing.length > 0) throw new Error(`what ${plan.directory} issued does not hold ${missing.join(", ")}`);
    return pair;
  } catch (error) {
    const { limited, retryAfter } = requests;
    throw new ObtainError(
      oneLine(error),
      limited ? Math.max(retryAfter, retryAfter === 0 ? limitedFor : 0) : retryAfter,
    );
  }
}

async function order({ plan, names, accountKey, solver, poll, signal }: ObtainOptions): Promise<StoredPair> {
  const acme = await loadAcmeClient();
  const { externalAccount } = plan;
  const client = new acme.Client({
    directoryUrl: plan.directory,
    accountKey,
    backoffAttempts: looks,
    backoffMin: poll,
    backoffMax: Math.min(10_000, poll * 8),
    ...(externalAccount !== null && {
      externalAccountBinding: { kid: externalAccount.keyId, hmacKey: externalAccount.secret },
    }),
  });
  await openAccount(client, plan.email);
  const ordered = await client.createOrder({ identifiers: names.map((value) => ({ type: "dns", value })) });
  for (const authorization of await client.getAuthorizations(ordered)) {
    if (signal.aborted) throw new Error("the program is stopping");
    await prove(client, authorization, plan.challenge, solver, signal);
  }
  const [key, request] = await acme.crypto.createCsr(
    { altNames: [...names] },
    await acme.crypto.createPrivateEcdsaKey("P-256"),
  );
  const cert = await unlessAborted(
    client.finalizeOrder(ordered, request).then((finalized) => client.getCertificate(finalized)),
    signal,
  );
  return { cert, key: key.toString() };
}

/**
 * Makes the account, or finds the one that the key has. Of one that is there the library changes what it is told, and an authority
 * may refuse a change that changes nothing (Pebble does), so without an address it is asked for first.
 */
async function openAccount(client: Acme.Client, email: string): Promise<void> {
  if (email !== "") {
    await client.createAccount({ termsOfServiceAgreed: true, contact: [`mailto:${email}`] });
    return;
  }
  const found = client.createAccount({ onlyReturnExisting: true });
  if (await found.then(Boolean, () => false)) return;
  await client.createAccount({ termsOfServiceAgreed: true });
}

async function prove(
  client: Acme.Client,
  authorization: Acme.Authorization,
  kind: ChallengeKind,
  solver: Solver,
  signal: AbortSignal,
): Promise<void> {
  // Proved not long ago, and still believed (RFC 8555 §7.1.4).
  if (authorization.status === "valid") return;
  const name = authorization.identifier.value;
  const offered = authorization.challenges.find(({ type }) => type === kind);
  if (offered === undefined) {
    const kinds = authorization.challenges.map(({ type }) => type).join(", ");
    throw new Error(`for ${name} the authority offers ${kinds === "" ? "nothing" : kinds}, not ${kind}`);
  }
  const challenge: Challenge = {
    kind,
    name,
    token: offered.token,
    answer: await client.getChallengeKeyAuthorization(offered),
  };
  // RFC 8555 §8.3: base64url; it becomes part of a path that we answer.
  if (!/^[\w-]{16,256}$/.test(challenge.token)) throw new Error(`for ${name} the authority sends a token that is none`);
  try {
    await solver.present(challenge);
    await client.completeChallenge(offered);
    await unlessAborted(client.waitForValidStatus(offered), signal);
  } catch (error) {
    throw new Error(`${name}: ${oneLine(error)}`);
  } finally {
    await solver.cleanup(challenge);
  }
}

/** The library takes a request that was aborted for one more look in vain, and goes on looking for minutes. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const end = (): void => reject(new Error("the program is stopping"));
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true });
  return Promise.race([promise, work]).finally(() => signal.removeEventListener("abort", end));
}

/** What the authority says is for our log, whatever bytes it consists of. */
function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text
    .replaceAll(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ")
    .trim()
    .replace(/\.$/, "");
  return line.length > 400 ? `${line.slice(0, 397)}...` : line;
}

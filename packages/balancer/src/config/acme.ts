// What is ordered from an authority: the plan, and how it comes of what was written.
import { createHash } from "node:crypto";
import type { Config } from "./schema/config.ts";

/** One certificate. */
export interface AcmeOrderPlan {
  /** Names its file; the same names give the same one. */
  readonly id: string;
  /** DNS names in lower case, sorted. */
  readonly names: readonly string[];
  /** Who shows it. */
  readonly listeners: readonly string[];
}

/** How it is proved that a name is ours: RFC 8555 §8.3 and §8.4, RFC 8737. */
export type ChallengeKind = "http-01" | "dns-01" | "tls-alpn-01";

/** Part of the plan that stays with the supervisor. */
export interface AcmePlan {
  readonly directory: string;
  /** "" = none is told. */
  readonly email: string;
  /** Path of a PEM file; "" = the system's authorities. */
  readonly ca: string;
  /** Path of the folder. */
  readonly storage: string;
  readonly challenge: ChallengeKind;
  readonly hook: {
    readonly command: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    /** ms */
    readonly timeout: number;
    /** ms */
    readonly wait: number;
  } | null;
  readonly externalAccount: { readonly keyId: string; readonly secret: string } | null;
  readonly orders: readonly AcmeOrderPlan[];
}

export const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";
export const letsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory";

/** null where nothing is ordered. `within` finds what is named relative to the configuration. */
export function planAcme(config: Config, within: (written: string) => string): AcmePlan | null {
  const { acme } = config;
  if (acme === undefined) return null;
  const orders = new Map<string, AcmeOrderPlan>();
  for (const [listener, { tls }] of Object.entries(config.listeners)) {
    if (tls?.acme === undefined || tls.acme.length === 0) continue;
    const names = [...new Set(tls.acme)].sort();
    const id = orderId(names);
    orders.set(id, { id, names, listeners: [...(orders.get(id)?.listeners ?? []), listener] });
  }
  if (orders.size === 0) return null;
  return {
    directory: acme.directory ?? (acme.staging ? letsEncryptStaging : letsEncrypt),
    email: acme.email ?? "",
    ca: acme.ca === undefined ? "" : within(acme.ca),
    storage: within(acme.storage),
    challenge: acme.challenge,
    hook: acme.hook ?? null,
    externalAccount: acme.externalAccount ?? null,
    orders: [...orders.values()],
  };
}

/** "shop.example-3f2a91c05d8e": readable, and another for every other set of names. */
function orderId(names: readonly string[]): string {
  const first = (names[0] ?? "")
    .replace("*.", "wildcard.")
    .replaceAll(/[^a-z0-9.-]/g, "_")
    .slice(0, 80);
  return `${first}-${createHash("sha256").update(names.join(" ")).digest("hex").slice(0, 12)}`;
}

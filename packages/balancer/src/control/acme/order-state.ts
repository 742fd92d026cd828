// One certificate that is to be had: what there is of it now, and when something has to be done.
import type { Random } from "../../base/random.ts";
import type { AcmeOrderPlan } from "../../config/acme.ts";
import { readCertificate, type CertificateFacts } from "../../config/certificate/read.ts";
import { renewalTime } from "./schedule.ts";
import { noTries, type StoredPair, type StoredTries } from "./storage.ts";

/** What `status` and the metrics tell of it. Times in wall-clock ms. */
export interface OrderStatus {
  readonly id: string;
  readonly names: readonly string[];
  readonly listeners: readonly string[];
  /** "valid", "renewing", "ordering" (none yet), "failing" (the last try failed), "expired". */
  readonly state: "valid" | "renewing" | "ordering" | "failing" | "expired";
  readonly issuer: string;
  /** 0 = there is none yet. */
  readonly notAfter: number;
  /** When it is renewed, or tried again. */
  readonly next: number;
  readonly failures: number;
  /** Of the last try; "" if it did not fail. */
  readonly problem: string;
}

export class OrderState {
  order: AcmeOrderPlan;
  /** What is shown to clients: the real one, or a self-signed one in its place. */
  pair: StoredPair;
  /** null while the real one is not there. */
  facts: CertificateFacts | null = null;
  tries: StoredTries = noTries;
  /** Being ordered by us now. */
  working = false;
  #renewAt = 0;

  constructor(order: AcmeOrderPlan, standIn: StoredPair) {
    this.order = order;
    this.pair = standIn;
  }

  /** Takes what is stored, if it is another one and can be used. Returns whether it did. */
  adopt(pair: StoredPair | null, now: number, random: Random): boolean {
    if (pair === null) return false;
    if (this.facts !== null && pair.cert === this.pair.cert && pair.key === this.pair.key) return false;
    const { facts } = readCertificate(pair.cert, pair.key, now);
    if (facts === null || this.order.names.some((name) => !facts.names.includes(name))) return false;
    this.pair = pair;
    this.facts = facts;
    this.#renewAt = renewalTime(facts.notBefore, facts.notAfter, random);
    return true;
  }

  /** What there is counts as a stand-in from now on. */
  orderAnew(): void {
    this.facts = null;
    this.tries = noTries;
    this.#renewAt = 0;
  }

  isDue(now: number): boolean {
    return now >= this.#renewAt && now >= this.tries.notBefore;
  }

  status(now: number): OrderStatus {
    const { order, facts, tries } = this;
    return {
      ...order,
      state: this.#state(now),
      issuer: facts?.issuer ?? "",
      notAfter: facts?.notAfter ?? 0,
      next: Math.max(this.#renewAt, tries.notBefore),
      failures: tries.failures,
      problem: tries.problem,
    };
  }

  #state(now: number): OrderStatus["state"] {
    if (this.facts !== null && now >= this.facts.notAfter) return "expired";
    if (this.working) return this.facts === null ? "ordering" : "renewing";
    if (this.tries.failures > 0) return "failing";
    return this.facts === null ? "ordering" : "valid";
  }
}

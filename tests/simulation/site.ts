// An instance of the application as it really is, whatever the balancer thinks of it.
import type { Random } from "../../packages/balancer/src/base/random.ts";
import type { EndpointPlan } from "../../packages/balancer/src/pool/plan.ts";

export type Manner = "well" | "errors" | "resets" | "slow" | "black hole" | "down" | "not ready" | "pauses";

const manners: readonly Manner[] = ["errors", "resets", "slow", "black hole", "down", "not ready", "pauses"];

/** What comes of one try. */
export interface Fate {
  readonly end: "good" | "errors" | "reset" | "refused" | "unreachable";
  /** Ms until then. */
  readonly after: number;
}

export class Site {
  manner: Manner = "well";
  /** Ms for which it leaves an idle connection open; it may say so. */
  readonly keepAlive: number;
  readonly tellsKeepAlive: boolean;
  /** What its answers usually take, ms. */
  readonly usual: number;
  /** How far its manner goes, 0 to 1. */
  #degree = 0;

  constructor(random: Random) {
    this.keepAlive = [2_000, 5_000, 5_000, 8_000, 75_000][Math.floor(random() * 5)]!;
    this.tellsKeepAlive = random() < 0.5;
    this.usual = 5 + random() * 40;
  }

  /** Something happens to it: mostly it gets well again. */
  change(random: Random): void {
    this.manner = this.manner !== "well" && random() < 0.6 ? "well" : manners[Math.floor(random() * manners.length)]!;
    this.#degree = 0.2 + random() * 0.8;
  }

  probed(random: Random): { readonly ok: boolean; readonly took: number; readonly detail: string } {
    if (this.manner === "down") return { ok: false, took: 1, detail: "refused" };
    if (this.manner === "black hole") return { ok: false, took: 1, detail: "no connection in time" };
    if (this.manner === "not ready") return { ok: false, took: 1, detail: "status 503, expected 200-299" };
    if (this.manner === "errors" && random() < 0.1)
      return { ok: false, took: 1, detail: "status 500, expected 200-299" };
    return { ok: true, took: 1, detail: "status 200" };
  }

  /** What becomes of a try that begins now; `fails` says that this request fails everywhere. */
  meet(random: Random, fails: boolean, connected: boolean, connectTimeout: number): Fate {
    if (!connected && this.manner === "down") return { end: "refused", after: 0.2 };
    if (!connected && this.manner === "black hole") return { end: "unreachable", after: connectTimeout };
    const after = this.usual * (0.5 + random());
    if (this.manner === "down" || this.manner === "black hole") return { end: "reset", after };
    if (this.manner === "errors" && random() < this.#degree) return { end: "errors", after };
    if (this.manner === "resets" && random() < this.#degree) return { end: "reset", after };
    const slower = this.manner === "slow" ? 1 + 40 * this.#degree : this.manner === "pauses" && random() < 0.1 ? 30 : 1;
    return { end: fails ? "errors" : "good", after: after * slower };
  }
}

/** An endpoint of a random plan. */
export function randomEndpoint(slot: number, random: Random): EndpointPlan {
  const id = `127.0.0.1:${3000 + slot}`;
  return {
    slot,
    id,
    stableId: id,
    address: { kind: "tcp", host: "127.0.0.1", port: 3000 + slot },
    weight: random() < 0.05 ? 0 : 1 + Math.floor(random() * 3),
    zone: random() < 0.5 ? "a" : "b",
    backup: random() < 0.15,
  };
}

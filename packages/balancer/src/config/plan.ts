// The Plan: what the whole program is told to be. Made from text by load.ts, completed with slots by control/, sent to
// every worker as JSON.
import type { AcmePlan } from "./acme.ts";
import type { PoolPlan } from "../pool/plan.ts";
import type { ListenerPlan } from "../proxy/plan.ts";

/** An endpoint name still to be resolved; discovery turns it into endpoints. */
export interface NamePlan {
  /** As written: "app.internal:3000" or "srv+_http._tcp.app.internal". */
  readonly id: string;
  readonly kind: "address" | "srv";
  readonly name: string;
  /** 0 for srv. */
  readonly port: number;
  readonly weight: number;
  readonly zone: string;
  readonly backup: boolean;
}

/** A pool and the names in it. */
export interface PoolSource {
  readonly pool: PoolPlan;
  readonly names: readonly NamePlan[];
}

export interface LogPlan {
  /** "none", "stdout", or a file's path. */
  readonly access: string;
  /** "json", "combined", or a template such as "{method} {target} {status}". */
  readonly format: string;
}

export interface Plan {
  readonly listeners: readonly ListenerPlan[];
  readonly pools: readonly PoolSource[];
  /** null = no certificate is ordered. */
  readonly acme: AcmePlan | null;
  /** null = no admin listener. */
  readonly admin: { readonly host: string; readonly port: number } | null;
  readonly log: LogPlan;
  /** 0 = auto: as many as there are cores. */
  readonly workers: number;
  /** Bytes that all workers together may use; 0 = auto: what the control group or the machine has. */
  readonly memory: number;
  readonly shutdown: {
    readonly lag: number;
    readonly window: number;
    /** From SIGTERM to SIGKILL of this program, as declared; 0 = not known. */
    readonly stopGrace: number;
  };
}

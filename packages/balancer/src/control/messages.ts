// What supervisor and worker say to each other. JSON over the runtime's IPC; listening sockets travel beside
// it, as descriptors over a Unix socket (SCM_RIGHTS), in the order of `fresh`.
import type { LogPlan } from "../config/plan.ts";
import type { LogFields, LogLevel } from "../observe/log.ts";
import type { EnginePlan } from "../proxy/assemble.ts";

/** One listening socket of a worker. */
export interface SocketOffer {
  /** Name and address: what makes it the same socket over reloads. */
  readonly key: string;
  readonly listener: string;
}

export type ToWorker =
  | {
      readonly kind: "begin";
      readonly row: number;
      readonly table: string;
      /** Whether there is an access log, now or ever. */
      readonly logged: boolean;
    }
  | {
      readonly kind: "prepare";
      readonly generation: number;
      readonly plan: EnginePlan;
      /** All sockets of the new snapshot. */
      readonly sockets: readonly SocketOffer[];
      /** Keys of those whose descriptor was just sent. */
      readonly fresh: readonly string[];
      readonly log: LogPlan;
      /** Bytes that all workers together may use. */
      readonly memory: number;
      /** Ms that a worker takes for its last exchanges when it must stop, also when its supervisor is gone. */
      readonly window: number;
    }
  | { readonly kind: "commit"; readonly generation: number }
  | { readonly kind: "discard"; readonly generation: number }
  | { readonly kind: "reopen" }
  /** Answers say `Connection: close` from now on; new connections are still accepted. */
  | { readonly kind: "stopping" }
  /** `replaced`: another program serves the same sockets, so whoever asks for our readiness still hears yes. */
  | { readonly kind: "stop"; readonly window: number; readonly replaced: boolean };

export type FromWorker =
  | { readonly kind: "hello" }
  | { readonly kind: "prepared"; readonly generation: number; readonly problem: string }
  | { readonly kind: "committed"; readonly generation: number; readonly problem: string }
  | { readonly kind: "discarded"; readonly generation: number; readonly problem: string }
  | {
      readonly kind: "event";
      readonly level: LogLevel;
      readonly name: string;
      readonly text: string;
      readonly fields: LogFields;
    };

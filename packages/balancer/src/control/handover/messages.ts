// What two programs say to each other while one takes over from the other. They may be of different versions: a message of
// an unknown kind is passed over, and whoever speaks another protocol altogether is refused with a sentence.
import type { Verdict } from "../../pool/probe/threshold.ts";
import type { Ejection } from "../../pool/outlier/watch.ts";
import type { ResolvedAddress } from "../compose.ts";
import type { AskedState } from "../endpoint-states.ts";
import type { InheritedSocket } from "../sockets.ts";

/** To be raised when a message changes its meaning. */
const protocol = 1;

/** The variable that tells a program whom it takes over from: the path of a socket. */
export const handoverVariable = "PLIMSOLL_HANDOVER";

/** What is known of an endpoint that no probe could find out again soon. */
export interface CarriedEndpoint {
  /** As `endpointKey` has it. */
  readonly key: string;
  /** Row of the old table. */
  readonly slot: number;
  readonly verdict: Verdict;
  readonly asked: AskedState;
  readonly state: Verdict | "draining" | "disabled";
  readonly reason: string;
  readonly probed: string;
  /** Wall-clock ms. */
  readonly since: number;
  /** Whether its pool was probed. */
  readonly judged: boolean;
  /** Wall-clock ms; 0 where there is none. */
  readonly drainUntil: number;
  readonly passiveUntil: number;
  readonly warmFrom: number;
  readonly ejections: number;
  readonly ejection: Ejection | null;
}

/** What the old program hands on beside its sockets; lies in a file of its runtime directory. */
export interface Carried {
  /** Path of its shared table. */
  readonly table: string;
  readonly endpoints: readonly CarriedEndpoint[];
  /** Rows of that table by name. */
  readonly pools: Readonly<Record<string, number>>;
  readonly listeners: Readonly<Record<string, number>>;
  /** Longest requests seen by pool, ms: drain windows go by them. */
  readonly longest: Readonly<Record<string, number>>;
  /** Last good answers by name. */
  readonly names: Readonly<Record<string, readonly ResolvedAddress[]>>;
}

/** The admin address as it was asked for and as it is. */
export interface CarriedAdmin {
  readonly host: string;
  readonly asked: number;
  readonly port: number;
}

/** From the old program. */
export type ToSuccessor =
  /** Descriptors come with it, in this order. */
  | { readonly kind: "sockets"; readonly sockets: readonly Omit<InheritedSocket, "fd">[] }
  /** All sockets were sent; `carried` is a file's path. */
  | {
      readonly kind: "begin";
      readonly pid: number;
      readonly version: string;
      readonly carried: string;
      readonly admin: CarriedAdmin | null;
    }
  /** An operator asked meanwhile. */
  | {
      readonly kind: "asked";
      readonly pool: string;
      readonly endpoint: string;
      readonly state: AskedState;
      readonly reason: string;
      readonly window: number | null;
    }
  /** It accepts nothing any more. */
  | { readonly kind: "yours" };

/** From the new one. */
export type ToPredecessor =
  | { readonly kind: "hello"; readonly protocol: number; readonly pid: number; readonly version: string }
  /** Every worker serves. */
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly problem: string };

type Hello = ToPredecessor & { readonly kind: "hello" };

/** What the new program says first. */
export function helloOf(pid: number, version: string): Hello {
  return { kind: "hello", protocol, pid, version };
}

/** "" when we understand whoever says this, else what is wrong with it, as the end of a sentence about it. */
export function helloProblem(hello: Hello): string {
  if (hello.protocol === protocol) return "";
  return `is version ${hello.version}, whose handover is another (${hello.protocol}, ours is ${protocol}); restart instead`;
}

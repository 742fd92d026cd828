// pool/stick/: how a client is kept at its endpoint, one file for each way, one line each in table.ts. A stick knows what
// requests carry and whom that stands for; it must not know queues, limits, sockets or sessions.
import type { SharedTable } from "../../observe/table.ts";
import type { Endpoint } from "../endpoint.ts";
import type { StickName, StickyPlan } from "../plan.ts";

/** What a stick may ask of a request. Strings hold one character per byte. */
export interface StickyRequest {
  header(lowerName: string): string | undefined;
  /** The `nth` cookie of that name, counted from 0: a browser may send several, for different paths and domains. */
  cookie(name: string, nth?: number): string | undefined;
  /** The client's address as text, as far as it can be believed; "" for Unix sockets. */
  source(): string;
}

/** What a request carried. */
export const Carried = {
  nothing: 0,
  /** Not ours, forged, signed with a secret that is no longer here, or of an endpoint that left. */
  unknown: 1,
  expired: 2,
  /** It names its endpoint. */
  known: 3,
  /** It names none: its endpoint was computed, and would be the same for a new client. */
  hashed: 4,
} as const;

/** What is known of one request. An exchange has one and fills it again for each. */
export interface Visit {
  /** Where the client belongs; null for nowhere yet. It may be unable to take work: keep.ts says. */
  endpoint: Endpoint | null;
  /** `Carried`. */
  carried: number;
  /** Whether the client is to be told anew although it is where it belongs. */
  stale: boolean;
  /** Its endpoint, when it is full and has to be waited for; set by the pool. */
  waitsFor: Endpoint | null;
  /** Whether the client speaks TLS, with us or with a proxy that is trusted; set by whoever has the visit. */
  secure: boolean;
  /** Two hashes of what it carried, for sticks that remember. */
  first: number;
  second: number;
}

export function newVisit(): Visit {
  return { endpoint: null, carried: Carried.nothing, stale: false, waitsFor: null, secure: false, first: 0, second: 0 };
}

/** Forgets the last request. */
export function resetVisit(visit: Visit): void {
  visit.endpoint = null;
  visit.carried = Carried.nothing;
  visit.stale = false;
  visit.waitsFor = null;
}

export interface Stick {
  readonly name: StickName;
  /** Cookie that is the balancer's own, so that applications need not see it; "" = none. */
  readonly ownCookie: string;
  /** Cookie of the application's from which it learns; "" = none. */
  readonly learnsFrom: string;
  /** Fills `visit`, which was reset, from what the request carries. */
  read(request: StickyRequest, wallNow: number, visit: Visit): void;
  /**
   * The client belongs to this endpoint from now on. Returns the field line that tells it so, with its CRLF, or null where it
   * need not be told.
   */
  write(visit: Visit, endpoint: Endpoint, wallNow: number): Uint8Array | null;
  /** An answer of this endpoint set the cookie `learnsFrom` to this value. */
  learn(value: string, endpoint: Endpoint): void;
}

/** What sticks are built over. */
export interface StickSurroundings {
  readonly table: SharedTable;
  /** Of the pool, in the shared table. */
  readonly slot: number;
  /** Every endpoint of the pool, usable or not. */
  readonly endpoints: readonly Endpoint[];
  /** Their weights as planned, in the same order: what slow start makes of them for a while must move nobody. */
  readonly weights: readonly number[];
  /** Whether this one takes new clients now. */
  inRotation(endpoint: Endpoint): boolean;
}

/** One way of sticking. */
export interface StickKind {
  readonly name: StickName;
  /** What it goes by, for `explain` and the documentation. */
  readonly how: string;
  build(plan: StickyPlan, surroundings: StickSurroundings): Stick;
}

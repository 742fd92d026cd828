// A listener as a worker runs it. The object lives as long as the socket; what a reload changes hangs on `current`, which
// is swapped whole, so that an exchange keeps what it began with and the next one sees the new.
import type { Listener } from "../net/transport.ts";
import type { Occupant } from "../pool/occupants.ts";
import type { CidrSet } from "../base/cidr.ts";
import type { HeadLimits } from "@plimsoll/wire/http1";
import type { Challenges } from "./challenges.ts";
import { ClientCounts } from "./client-counts.ts";
import type { ErrorPages } from "./error-pages.ts";
import type { FoldedRoute } from "./folded-route.ts";
import type { ListenerPlan } from "./plan.ts";
import type { FoldedTls } from "./listener-tls.ts";
import type { Proofs } from "./proofs.ts";
import type { RouteTable } from "./route/table.ts";

/** Routes, and the way to find the one for a request. */
export interface FoldedRoutes {
  readonly table: RouteTable;
  readonly routes: readonly FoldedRoute[];
}

/** What a snapshot says of one listener. */
export interface ListenerSnapshot extends FoldedRoutes {
  readonly plan: ListenerPlan;
  readonly limits: HeadLimits;
  /** Whose forwarding fields are believed; null = nobody's. */
  readonly trusted: CidrSet | null;
  readonly errorPages: ErrorPages;
  /** Answers for an authority that looks whether a name is ours, by path; null nearly always. */
  readonly challenges: Challenges | null;
  /** The same for one that looks by TLS; null nearly always, and where none is spoken. */
  readonly proofs: Proofs | null;
  /** null = plain text. */
  readonly tls: FoldedTls | null;
  /** For requests that come without TLS to a port where TLS comes in; null = such are not told apart. */
  readonly plain: FoldedRoutes | null;
}

/** What a listener needs of its open connections: to find them, and to end them. */
export interface ListedSession {
  next: ListedSession | null;
  previous: ListedSession | null;
  /** No request is under way. */
  readonly idle: boolean;
  /**
   * At most one more request; an idle one closes now or in a moment. `patient`: one that was asked nothing yet keeps the time it
   * has for its first request.
   */
  wind(patient: boolean): void;
  /** The tunnel that it became, if any. */
  readonly passage: Occupant | null;
  cut(): void;
}

export class ListenerState {
  readonly name: string;
  /** First cell of this listener in this worker's row. */
  cells: number;
  current: ListenerSnapshot;
  /** Those that are open, or were: more than one where a program with more workers was taken over from. */
  sockets: readonly Listener[] = [];
  port: number;
  /** No further requests on open connections: answers say `Connection: close`. */
  closing = false;
  /** Its sockets are served by another program from now on. */
  replaced = false;
  /** Open connections, as a doubly linked list through the sessions. */
  first: ListedSession | null = null;
  open = 0;
  /** Of those, how many each client has, where that is limited. */
  readonly clients = new ClientCounts();
  /** Connections in their TLS handshake; they are not open yet. */
  shaking = 0;

  constructor(name: string, cells: number, current: ListenerSnapshot) {
    this.name = name;
    this.cells = cells;
    this.current = current;
    this.port = current.plan.address.port;
  }

  add(session: ListedSession): void {
    session.next = this.first;
    session.previous = null;
    if (this.first !== null) this.first.previous = session;
    this.first = session;
    this.open++;
  }

  remove(session: ListedSession): void {
    if (session.previous !== null) session.previous.next = session.next;
    else if (this.first === session) this.first = session.next;
    if (session.next !== null) session.next.previous = session.previous;
    session.next = session.previous = null;
    this.clients.leave(session);
    this.open--;
  }
}

// What the listeners and routes are told to be: complete, validated, plain data that survives JSON.
import type { ClientCertificates } from "../net/tls.ts";
import type { TlsVersion } from "../net/tls-context.ts";
import type { CertificatePlan, DeclaredPlan, PemFilePlan, PoolTimeouts, RetryPlan } from "../pool/plan.ts";

/** How one header value, query value or cookie is matched. */
export type ValueMatch =
  | { readonly kind: "present" }
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "regex"; readonly source: string };

export type HostMatch =
  | { readonly kind: "any" }
  /** Lower case, punycode, no port. */
  | { readonly kind: "exact"; readonly host: string }
  /** "*.example.com" is stored as "example.com": matches any depth below it, not the name itself. */
  | { readonly kind: "suffix"; readonly host: string };

export type PathMatch =
  | { readonly kind: "any" }
  | { readonly kind: "exact"; readonly path: string }
  /** "/v1/*" is stored as "/v1": matches "/v1" and everything below "/v1/". */
  | { readonly kind: "prefix"; readonly path: string }
  | { readonly kind: "regex"; readonly source: string };

export interface MatchPlan {
  readonly host: HostMatch;
  readonly path: PathMatch;
  /** Upper case; empty = any. */
  readonly methods: readonly string[];
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, ValueMatch])[];
  readonly query: readonly (readonly [string, ValueMatch])[];
  readonly cookies: readonly (readonly [string, ValueMatch])[];
  /** Protocols of which a TLS client must offer one; empty = any. Of listeners that pass TLS on. */
  readonly alpn: readonly string[];
  /** CIDRs of the client's address; empty = any. */
  readonly sources: readonly string[];
}

export interface HeaderEditsPlan {
  readonly set: readonly (readonly [string, string])[];
  readonly add: readonly (readonly [string, string])[];
  /** Names in lower case. */
  readonly remove: readonly string[];
}

export type RewritePlan =
  /** Replaces the matched prefix ("/v1") by another ("/" or "/api"). */
  | { readonly kind: "prefix"; readonly from: string; readonly to: string }
  /** Replaces in the path by JavaScript rules ($1 for groups). */
  | { readonly kind: "regex"; readonly source: string; readonly to: string };

export type ActionPlan =
  | { readonly kind: "pool"; readonly pool: string }
  | { readonly kind: "split"; readonly parts: readonly { readonly pool: string; readonly weight: number }[] }
  | { readonly kind: "redirect"; readonly to: string; readonly status: number }
  | { readonly kind: "fixed"; readonly status: number; readonly contentType: string; readonly body: string };

export interface RoutePlan {
  /** How the operator finds it: its `name`, or "web.routes[2]". */
  readonly name: string;
  readonly match: MatchPlan;
  readonly action: ActionPlan;
  readonly rewrite: RewritePlan | null;
  readonly requestHeaders: HeaderEditsPlan;
  readonly answerHeaders: HeaderEditsPlan;
  /** Pool that gets a copy of each request, its answers thrown away; "" = none. */
  readonly mirror: string;
  /** 0 = no limit. */
  readonly maxBodyBytes: number;
  /** What this route overrides of its pool. */
  readonly timeouts: Partial<PoolTimeouts>;
  readonly retry: RetryPlan | null;
  /** What is declared otherwise than in its pool. */
  readonly declared: Partial<Pick<DeclaredPlan, "client" | "app" | "downstream">>;
  /** Whether a client that goes away cancels its exchange at the endpoint. */
  readonly cancel: boolean;
}

/** What is spoken on a listener: requests, any bytes over TCP, TLS that is passed on as it is, or datagrams. */
export type ListenerProtocol = "http" | "tcp" | "tls" | "udp";

export interface ListenerTlsPlan {
  /** Never empty. The first is shown to who asks for no name that is known. */
  readonly certificates: readonly CertificatePlan[];
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** Joined by ":". */
  readonly ciphers: string;
  readonly groups: string;
  readonly strictSni: boolean;
  readonly clientCertificates: ClientCertificates;
  readonly ca: PemFilePlan;
  readonly crl: PemFilePlan;
}

export interface ListenerPlan {
  /** Row in the shared table. -1 before it is given out. */
  readonly slot: number;
  readonly name: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly protocol: ListenerProtocol;
  readonly trustedProxies: readonly string[];
  /** Whether connections of trusted proxies may or must begin with a PROXY protocol header. */
  readonly proxyProtocol: "off" | "accept" | "require";
  readonly timeouts: {
    /** For the whole PROXY protocol header. */
    readonly proxyHeader: number;
    readonly handshake: number;
    readonly headers: number;
    readonly body: number;
    readonly idle: number;
    /** How long an unanswered exchange goes on after its client sent FIN. */
    readonly halfClose: number;
  };
  readonly limits: {
    readonly headBytes: number;
    readonly targetBytes: number;
    readonly fieldBytes: number;
    readonly fields: number;
    readonly requestsPerConnection: number;
    /** 0 = by the descriptor limit only. */
    readonly maxConnections: number;
    /** 0 = no limit. */
    readonly connectionsPerClient: number;
    /** Bytes a second that a request body must bring; 0 = any speed. */
    readonly minBodyRate: number;
    /** Bytes a second that must be taken of an answer that waits for its client; 0 = any. */
    readonly minReadRate: number;
  };
  /** For datagrams. */
  readonly udp: {
    /** Silence after which a flow is forgotten. */
    readonly idle: number;
    /** Most flows at a time, in each worker. */
    readonly maxFlows: number;
    /** Answers to each datagram of a client after which its flow is over; 0 = unknown. */
    readonly answers: number;
    /** Most bytes to a client for each byte from it; 0 = no limit. */
    readonly amplification: number;
  };
  /** Field names with "_": dropped, refused, or passed. */
  readonly underscores: "drop" | "reject" | "pass";
  /** Where the balancer's own readiness is told; "" = nowhere. */
  readonly readyPath: string;
  /** Bodies of our own error answers by status ("404", "5xx"), read when the plan was made. */
  readonly errorPages: readonly { readonly status: string; readonly contentType: string; readonly body: string }[];
  /** null = plain text. */
  readonly tls: ListenerTlsPlan | null;
  readonly routes: readonly RoutePlan[];
  /**
   * Where TLS comes in: the routes of clients that speak HTTP without it, told apart by their first byte. null = no client is
   * told apart.
   */
  readonly plainRoutes: readonly RoutePlan[] | null;
}

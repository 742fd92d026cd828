// What a pool is told to be: complete, validated, plain data that survives JSON. config/ makes it from what the user
// wrote, control/ gives out the slots, a worker builds a Pool from it. Times in milliseconds, sizes in bytes.
import type { Address } from "../net/transport.ts";

/** Names of the algorithms in balance/table.ts. */
export type AlgorithmName =
  | "roundRobin"
  | "leastOutstanding"
  | "p2c"
  | "peakEwma"
  | "ringHash"
  | "maglev"
  | "random"
  | "first";

/** What ringHash and maglev hash. */
export type HashKeyPlan =
  | { readonly from: "header" | "cookie" | "query"; readonly name: string }
  | { readonly from: "source" | "path" };

export interface EndpointPlan {
  /** Row in the shared table; given out by the supervisor, the same for all workers and over reloads. -1 before that. */
  readonly slot: number;
  /** Stable name within the pool: the address as written ("127.0.0.1:3001"), or name and resolved address. */
  readonly id: string;
  /** What sticky clients belong to: `id`, but the same in every run of an instance whose id changes with each ("app-1"). */
  readonly stableId: string;
  readonly address: Address;
  /** Name that it was found by; absent: its address is all that is known. */
  readonly serverName?: string;
  readonly weight: number;
  readonly zone: string;
  readonly backup: boolean;
}

/** Names of the probes in probe/table.ts. */
export type ProbeName = "http" | "tcp" | "tls" | "command" | "script" | "postgres" | "redis" | "mysql" | "smtp";

/** One step of a scripted probe; bytes in hexadecimal. What is expected is looked for in what came since the last send. */
export type ScriptStep =
  | { readonly kind: "send"; readonly hex: string }
  /** The answer begins with these bytes. */
  | { readonly kind: "begins"; readonly hex: string }
  /** The answer, one character a byte, matches `source`; it fails at once when it matches `unless` ("" = never). */
  | { readonly kind: "matches"; readonly source: string; readonly unless: string };

/** Who a probe says it is; "" where nothing is said. */
export interface LoginPlan {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Which version of the PROXY protocol header is sent first on every connection to an endpoint. */
export type ProxyProtocolPlan = "off" | "v1" | "v2";

export interface ReadinessPlan {
  readonly probe: ProbeName;
  readonly path: string;
  readonly method: string;
  /** Host field of the probe; "" means the endpoint's own address. */
  readonly host: string;
  readonly headers: readonly (readonly [string, string])[];
  /** Inclusive status ranges that count as ready. */
  readonly expect: readonly (readonly [number, number])[];
  /** What the answer's body must hold within its first `within` bytes; null: it is not looked at. */
  readonly body: { readonly pattern: string; readonly within: number } | null;
  /** Inclusive ranges of statuses with which a ready endpoint asks to be drained. */
  readonly drainOn: readonly (readonly [number, number])[];
  /** How a TLS handshake is made; null for other probes. */
  readonly tls: TlsProbePlan | null;
  /** What is run, and with which environment; null for other probes. */
  readonly command: CommandProbePlan | null;
  /** Of the probe `script`; empty for all others. */
  readonly script: readonly ScriptStep[];
  /** Of probes that speak a protocol with a login; null where nothing is said. */
  readonly login: LoginPlan | null;
  /** What is said first on the probe's connections: that nobody is spoken for. As for the pool's own. */
  readonly proxyProtocol: ProxyProtocolPlan;
  readonly interval: number;
  /** Instead of `interval` while probes in a row are about to change what is thought of an endpoint. */
  readonly fastInterval: number;
  readonly timeout: number;
  readonly rise: number;
  readonly fall: number;
}

export interface TlsProbePlan {
  /** Name that is asked for and verified; "" means the endpoint's own address. */
  readonly serverName: string;
  /** Whether the certificate must be valid. */
  readonly verify: boolean;
  /** PEM file of the authorities that are trusted; "" means the system's. Read anew for each handshake. */
  readonly ca: string;
}

export interface CommandProbePlan {
  /** Program and arguments; never empty. */
  readonly words: readonly string[];
  readonly env: readonly (readonly [string, string])[];
}

/** By what clients are kept at their endpoint: a file each in stick/. */
export type StickName = "cookie" | "appCookie" | "header" | "source";

export interface StickyPlan {
  readonly by: StickName;
  /** Name of the cookie, as it is, or of the header, in lower case; "" for the source. */
  readonly name: string;
  /** Whether clients stay at an endpoint while it drains. */
  readonly whileDraining: boolean;
  /** The balancer's own cookie; null for all others. */
  readonly cookie: StickyCookiePlan | null;
}

export interface StickyCookiePlan {
  /** The first signs, all are believed. Never empty. */
  readonly secrets: readonly string[];
  /** Ms after the last renewal for which it is believed; 0 = until the browser closes. */
  readonly maxAge: number;
  readonly sameSite: "lax" | "strict" | "none";
  /** "auto": when the client speaks TLS. */
  readonly secure: "auto" | "always" | "never";
  readonly httpOnly: boolean;
  readonly partitioned: boolean;
  /** "" = the host that answered. */
  readonly domain: string;
  readonly path: string;
  /** Whether it may stand in answers that shared caches may store. */
  readonly cacheable: boolean;
}

export interface PoolTimeouts {
  readonly connect: number;
  readonly firstByte: number;
  /** Longest silence within an answer or an upload. */
  readonly idle: number;
  readonly tunnelIdle: number;
  /** From the start of one try (once the request is complete) to the head of its answer; 0 = no limit. */
  readonly perTry: number;
  /** From the request's head to the end of its answer, queue and tries included; 0 = no limit. */
  readonly total: number;
}

/**
 * What may be tried again: a connection that was not made, one that ended before an answer, an answer that did not begin
 * within `firstByte`, or an answer of this status.
 */
export type RetryOn = "connect" | "reset" | "timeout" | number;

export interface RetryPlan {
  /** Tries in all, the first included; 1 means no retry. */
  readonly attempts: number;
  /** Retries allowed as a share of requests (0.2), never fewer than 3 a second. */
  readonly budget: number;
  readonly on: readonly RetryOn[];
  /** Whether a request with Idempotency-Key counts as idempotent whatever its method. */
  readonly idempotencyKey: boolean;
  /** A GET without an answer after this many ms is sent to a second endpoint, too; 0 = never. */
  readonly hedge: number;
}

/** When an endpoint is put out for doing worse than its peers. */
export interface OutlierPlan {
  /** Share of the pool that may be out at a time (0.5), rounded down, at least one of two or more. */
  readonly maxEjected: number;
  /** First time out, ms; the n-th is n times as long, up to `longest`. */
  readonly base: number;
  readonly longest: number;
  /** Failures in a row that may eject; 0 = never by this. */
  readonly consecutive: number;
  /** Times slower than its peers that may eject; 0 = never by this. */
  readonly latency: number;
}

/** What the world around the pool is set to, for the timeout hierarchy only; ms, 0 = not declared. */
export interface DeclaredPlan {
  /** How long clients wait for an answer. */
  readonly client: number;
  /** How long the application works on a request at most. */
  readonly app: number;
  /** How long the application waits for what it calls. */
  readonly downstream: number;
  /** After how long a rest the application closes a connection. */
  readonly keepAlive: number;
  /** From SIGTERM to SIGKILL of an instance. */
  readonly stopGrace: number;
}

/** A certificate with its key, as a listener shows it or a pool does. */
export interface CertificatePlan {
  /** PEM. */
  readonly cert: string;
  /** PEM. Never to be shown. */
  readonly key: string;
  /** Where they were read. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Names that it holds, in lower case; `*.example.com` as it stands. */
  readonly names: readonly string[];
  /** "rsa", "ecdsa" or another. */
  readonly kind: string;
}

/** PEM of authorities or revocation lists, and the file that it was read from; both "" = none. */
export interface PemFilePlan {
  readonly file: string;
  readonly pem: string;
}

/** How a pool speaks TLS to its endpoints. */
export interface PoolTlsPlan {
  /** Authorities that are trusted; none: the system's. */
  readonly ca: PemFilePlan;
  /** Shown to endpoints that ask for a certificate. */
  readonly client: CertificatePlan | null;
  /** Name to ask for and to verify; "" = the endpoint's own. */
  readonly serverName: string;
  /** Whether endpoints must show a valid certificate. */
  readonly verify: boolean;
}

export interface PoolPlan {
  /** Row in the shared table. -1 before it is given out. */
  readonly slot: number;
  readonly name: string;
  readonly endpoints: readonly EndpointPlan[];
  readonly balance: AlgorithmName;
  readonly hashKey: HashKeyPlan | null;
  /** Bounded load for ringHash: most share of the mean load one endpoint may have (1.25); 0 = unbounded. */
  readonly hashBalance: number;
  /** The balancer's own zone: endpoints of this zone are preferred; "" = no preference. */
  readonly zone: string;
  readonly readiness: ReadinessPlan | null;
  readonly failOpen: boolean;
  readonly sticky: StickyPlan | null;
  readonly outliers: OutlierPlan | null;
  /** Ms in which an endpoint that joins or comes back rises to its full share; 0 = at once. */
  readonly slowStart: number;
  readonly drain: {
    /** Ms from the begin of a drain until what is left is cut; "auto" follows the longest requests seen. */
    readonly window: number | "auto";
  };
  readonly timeouts: PoolTimeouts;
  readonly retry: RetryPlan;
  /** Field that carries the ms left for a request to the endpoint, and from trusted clients; "" = none. */
  readonly deadlineHeader: string;
  readonly limits: {
    /** Exchanges in flight per endpoint over all workers; 0 = no limit. */
    readonly inFlight: number;
    /** Requests that may wait per pool over all workers when no endpoint has room. */
    readonly queue: number;
    readonly queueTimeout: number;
  };
  readonly keepAlive: {
    /** Idle connections kept per endpoint and worker. */
    readonly maxIdle: number;
    /** Longest idle age before reuse is refused, until the endpoint tells or shows its own. */
    readonly idle: number;
    /** Exchanges per upstream connection; 0 = no limit. */
    readonly maxRequests: number;
  };
  readonly proxyProtocol: ProxyProtocolPlan;
  /** null = plain text. */
  readonly tls: PoolTlsPlan | null;
  readonly declared: DeclaredPlan;
}

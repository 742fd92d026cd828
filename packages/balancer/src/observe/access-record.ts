// What one line of the access log is made from.

/**
 * What the access log tells about one exchange. The engine fills ONE such object again and again, so a sink reads what
 * it needs before `exchange` returns and keeps no reference. Strings that came from a peer hold one character per byte
 * (latin1). Times in milliseconds; -1 where something did not happen (no connection was made, no byte came).
 */
export interface AccessRecord {
  /** Wall-clock ms at which the request head began to arrive. */
  time: number;
  listener: string;
  route: string;
  /** "" when no pool was chosen. */
  pool: string;
  /** Id of the endpoint that answered, or was tried last; "" when none was. */
  endpoint: string;
  /** Address of the client: the one believed, after `trustedProxies`. */
  client: string;
  method: string;
  /** The target as it was sent, before any rewrite. */
  target: string;
  host: string;
  /** "HTTP/1.1", "HTTP/1.0". */
  protocol: string;
  /** 0 when no answer could be sent. */
  status: number;
  /** Body bytes from the client. */
  bytesIn: number;
  /** Body bytes to the client. */
  bytesOut: number;
  /** From the first byte of the head to the last byte of the answer. */
  durationMs: number;
  /** From the request sent to the first byte of the answer. */
  upstreamMs: number;
  connectMs: number;
  queueMs: number;
  /** Tries in all; 0 when nothing was sent upstream. */
  attempts: number;
  /** Each try in its order, when there was more than one; the last of them is the one the record tells of. */
  tries: readonly TryRecord[];
  /** Code of the fault register; "" when all went well. */
  fault: string;
  /** The rung of the timeouts that expired; "" when none did. */
  rung: string;
  requestId: string;
  userAgent: string;
  referer: string;
  /** Of a connection that was passed on as bytes, what ended it: client, endpoint, drain or idle; "" for a request. */
  ended: string;
  /** Whether the upstream connection had carried an exchange before. */
  reusedConnection: boolean;
  /** Version of TLS that the client speaks: "TLSv1.3"; "" for plain text. */
  tls: string;
  cipher: string;
  /** Name that the client asked for in its handshake. */
  serverName: string;
}

/** One try of an exchange. */
export interface TryRecord {
  readonly endpoint: string;
  /** Code of the fault register, or "cancelled" for the slower half of a hedge; "" when an answer came. */
  readonly fault: string;
  /** Status of the answer; 0 when none came. */
  readonly status: number;
  /** From its start to its answer's head or its failure; for the last one to the end of the exchange. */
  readonly ms: number;
}

/** Where exchanges are told. `exchange` formats at once, never blocks and never throws. */
export interface AccessSink {
  exchange(record: AccessRecord): void;
}

/** A record with nothing in it, to be filled again and again. */
export function blankAccessRecord(): AccessRecord {
  return {
    time: 0,
    listener: "",
    route: "",
    pool: "",
    endpoint: "",
    client: "",
    method: "",
    target: "",
    host: "",
    protocol: "",
    status: 0,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: 0,
    upstreamMs: -1,
    connectMs: -1,
    queueMs: -1,
    attempts: 0,
    tries: [],
    fault: "",
    rung: "",
    requestId: "",
    userAgent: "",
    referer: "",
    ended: "",
    reusedConnection: false,
    tls: "",
    cipher: "",
    serverName: "",
  };
}

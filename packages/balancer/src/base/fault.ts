// The one register of what can go wrong in an exchange. A fault is a value, never a throw: it says what happened, whose
// doing it was, and whether another try can help. docs/errors.md is made from this table and a test holds both together.

/** Whose doing a fault was. */
export type FaultSide = "client" | "upstream" | "self";

/**
 * Whether the request may be sent again: never; whatever its method, because nothing of it was sent; or on a connection of
 * its own, if it is safe to repeat.
 */
export type FaultRetry = "never" | "always" | "fresh-connection";

/** One entry of the register. */
export interface FaultKind {
  readonly side: FaultSide;
  readonly retry: FaultRetry;
  /** Status of the answer that we make for it; 0 where no answer can be sent any more. */
  readonly status: number;
  /** The error token of RFC 9209 §2.3 for the Proxy-Status field. */
  readonly proxyStatus: string;
  /** One sentence for the operator. */
  readonly text: string;
  /** The rung of the timeouts that expired (docs/timeouts.md); "" for what is no expiry. */
  readonly rung: Rung;
}

/** Levels of the timeouts, from the client's head to the endpoint's answer; the log names the one that expired. */
export type Rung =
  | ""
  | "client-head"
  | "client-body"
  | "client-read"
  | "queue"
  | "connect"
  | "upload"
  | "first-byte"
  | "answer"
  | "tunnel"
  | "try"
  | "total"
  | "deadline";

function kind(
  side: FaultSide,
  retry: FaultRetry,
  status: number,
  proxyStatus: string,
  text: string,
  rung: Rung = "",
): FaultKind {
  return { side, retry, status, proxyStatus, text, rung };
}

/** Every fault there is, by its code. Codes are stable: dashboards and alerts are built on them. */
export const faults = {
  // What a client sent.
  "request-malformed": kind("client", "never", 400, "http_request_error", "The request is not valid HTTP/1.1."),
  "request-ambiguous": kind(
    "client",
    "never",
    400,
    "http_request_error",
    "The request could be read in two ways by two servers.",
  ),
  "request-host-invalid": kind(
    "client",
    "never",
    400,
    "http_request_error",
    "The Host is missing, doubled, malformed, or contradicts the target.",
  ),
  "request-target-too-long": kind(
    "client",
    "never",
    414,
    "http_request_error",
    "The request target is longer than the limit.",
  ),
  "request-head-too-large": kind(
    "client",
    "never",
    431,
    "http_request_error",
    "The request head has too many bytes or too many fields.",
  ),
  "request-version-unsupported": kind(
    "client",
    "never",
    505,
    "http_request_error",
    "Only HTTP/1.0 and HTTP/1.1 are spoken here.",
  ),
  "request-coding-unsupported": kind(
    "client",
    "never",
    501,
    "http_request_error",
    "The only transfer coding understood is chunked.",
  ),
  "request-method-unsupported": kind("client", "never", 501, "http_request_error", "This method is not forwarded."),
  "request-expectation-failed": kind(
    "client",
    "never",
    417,
    "http_request_error",
    "The only expectation understood is 100-continue.",
  ),
  "request-body-malformed": kind("client", "never", 400, "http_request_error", "The request body is badly chunked."),
  "request-body-too-large": kind(
    "client",
    "never",
    413,
    "http_request_error",
    "The request body is larger than the route allows.",
  ),
  "request-head-timeout": kind(
    "client",
    "never",
    408,
    "http_request_error",
    "The client did not send a whole head in time.",
    "client-head",
  ),
  "request-body-timeout": kind(
    "client",
    "never",
    408,
    "http_request_error",
    "The client stopped sending its body.",
    "client-body",
  ),
  "client-gone": kind(
    "client",
    "never",
    0,
    "connection_terminated",
    "The client closed its connection before the answer was complete.",
  ),
  "client-read-timeout": kind(
    "client",
    "never",
    0,
    "connection_write_timeout",
    "The client stopped reading its answer.",
    "client-read",
  ),
  // What should have come before anything else.
  "proxy-header-missing": kind(
    "client",
    "never",
    400,
    "http_request_error",
    "The connection did not begin with a PROXY protocol header, which its listener requires.",
  ),
  "proxy-header-malformed": kind(
    "client",
    "never",
    400,
    "http_request_error",
    "The PROXY protocol header is not valid.",
  ),
  "proxy-header-timeout": kind(
    "client",
    "never",
    408,
    "http_request_error",
    "The PROXY protocol header did not come in time.",
    "client-head",
  ),
  "proxy-header-untrusted": kind(
    "client",
    "never",
    400,
    "http_request_error",
    "The peer is none of the trusted proxies, who alone may connect where the PROXY protocol is required.",
  ),
  // What routing found.
  "route-not-found": kind("self", "never", 404, "destination_not_found", "No route matches this request."),
  "pool-unusable": kind("self", "never", 503, "destination_unavailable", "No endpoint of the pool is usable."),
  "pool-queue-full": kind(
    "self",
    "never",
    503,
    "connection_limit_reached",
    "Every endpoint is at its limit and the queue is full.",
  ),
  "pool-queue-timeout": kind(
    "self",
    "never",
    503,
    "connection_limit_reached",
    "The request waited in the queue for too long.",
    "queue",
  ),
  "total-timeout": kind(
    "self",
    "never",
    504,
    "http_response_timeout",
    "The exchange took longer than its pool or route allows in all.",
    "total",
  ),
  "deadline-exceeded": kind(
    "self",
    "never",
    504,
    "http_response_timeout",
    "The time that the client gave for its request was over.",
    "deadline",
  ),
  "deadline-exceeded-queued": kind(
    "self",
    "never",
    504,
    "connection_limit_reached",
    "The time that the client gave for its request was over before any endpoint had room for it.",
    "deadline",
  ),
  // What the upstream did.
  "connect-refused": kind("upstream", "always", 502, "connection_refused", "The endpoint refused the connection."),
  "connect-failed": kind("upstream", "always", 502, "destination_ip_unroutable", "The endpoint could not be reached."),
  "connect-timeout": kind(
    "upstream",
    "always",
    504,
    "connection_timeout",
    "The endpoint did not accept the connection in time.",
    "connect",
  ),
  "upstream-tls-failed": kind(
    "upstream",
    "always",
    502,
    "tls_protocol_error",
    "The TLS handshake with the endpoint failed.",
  ),
  "upstream-certificate-invalid": kind(
    "upstream",
    "always",
    502,
    "tls_certificate_error",
    "The endpoint's certificate is not signed by an authority that is trusted, or is not valid yet.",
  ),
  "upstream-certificate-expired": kind(
    "upstream",
    "always",
    502,
    "tls_certificate_error",
    "The endpoint's certificate has expired.",
  ),
  "upstream-certificate-misnamed": kind(
    "upstream",
    "always",
    502,
    "tls_certificate_error",
    "The endpoint's certificate is for another name than the one that was asked for.",
  ),
  "upstream-closed": kind(
    "upstream",
    "fresh-connection",
    502,
    "connection_terminated",
    "The endpoint closed the connection before an answer began.",
  ),
  "upstream-reset": kind(
    "upstream",
    "fresh-connection",
    502,
    "connection_terminated",
    "The endpoint reset the connection before an answer began.",
  ),
  "first-byte-timeout": kind(
    "upstream",
    "fresh-connection",
    504,
    "http_response_timeout",
    "The endpoint did not begin its answer in time.",
    "first-byte",
  ),
  "try-timeout": kind(
    "upstream",
    "fresh-connection",
    504,
    "http_response_timeout",
    "The endpoint did not begin its answer within the time of one try.",
    "try",
  ),
  "answer-idle-timeout": kind(
    "upstream",
    "never",
    504,
    "connection_read_timeout",
    "The endpoint stopped sending its answer.",
    "answer",
  ),
  "upload-idle-timeout": kind(
    "upstream",
    "never",
    504,
    "connection_write_timeout",
    "The endpoint stopped reading the request body.",
    "upload",
  ),
  "answer-malformed": kind(
    "upstream",
    "never",
    502,
    "http_protocol_error",
    "The endpoint's answer is not valid HTTP/1.1.",
  ),
  "answer-head-too-large": kind(
    "upstream",
    "never",
    502,
    "http_response_header_section_size",
    "The endpoint's answer has too many header bytes or fields.",
  ),
  "answer-coding-unsupported": kind(
    "upstream",
    "never",
    502,
    "http_response_transfer_coding",
    "The endpoint used a transfer coding other than chunked.",
  ),
  "answer-upgrade-unasked": kind(
    "upstream",
    "never",
    502,
    "http_upgrade_failed",
    "The endpoint switched protocols although nobody asked.",
  ),
  "answer-truncated": kind(
    "upstream",
    "fresh-connection",
    502,
    "http_response_incomplete",
    "The endpoint's answer ended before its announced end.",
  ),
  // Tunnels, and connections of layer 4.
  "client-hello-malformed": kind(
    "client",
    "never",
    0,
    "tls_protocol_error",
    "What the client sent first is not the beginning of TLS, or is longer than the limit.",
  ),
  "client-hello-timeout": kind(
    "client",
    "never",
    0,
    "connection_read_timeout",
    "The client did not say in time, in TLS, where it wants to go.",
    "client-head",
  ),
  "connection-reset": kind(
    "upstream",
    "never",
    0,
    "connection_terminated",
    "The endpoint reset a connection that was passed on as bytes.",
  ),
  "tunnel-idle-timeout": kind(
    "self",
    "never",
    0,
    "connection_read_timeout",
    "Nothing passed through the tunnel for too long.",
    "tunnel",
  ),
  // Flows of datagrams.
  "endpoint-left": kind(
    "self",
    "never",
    0,
    "destination_unavailable",
    "The endpoint of this flow is not usable any more; its client's next datagram goes to another.",
  ),
  "flow-evicted": kind(
    "self",
    "never",
    0,
    "connection_limit_reached",
    "There were as many flows as are allowed, and of all of them this one had been silent longest.",
  ),
  // Ours.
  draining: kind("self", "never", 503, "destination_unavailable", "The balancer is shutting down."),
  "drain-window-over": kind(
    "self",
    "fresh-connection",
    503,
    "destination_unavailable",
    "The endpoint was leaving, and its drain window ended before this was finished.",
  ),
  "internal-error": kind(
    "self",
    "never",
    500,
    "proxy_internal_error",
    "The balancer itself failed; this is a defect of ours.",
  ),
} as const satisfies Record<string, FaultKind>;

/** A code of the register. */
export type FaultCode = keyof typeof faults;

/** Codes in a fixed order, so that counters can be indexed by number. */
export const faultCodes = Object.keys(faults) as readonly FaultCode[];

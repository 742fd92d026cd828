// Everything the codec refuses, as numbers that cost nothing to pass around, each with the fault it amounts to.

/** Codes of the balancer's fault register that the codec can cause. */
export type WireFault =
  | "request-malformed"
  | "request-ambiguous"
  | "request-host-invalid"
  | "request-target-too-long"
  | "request-head-too-large"
  | "request-version-unsupported"
  | "request-coding-unsupported"
  | "request-expectation-failed"
  | "request-method-unsupported"
  | "request-body-malformed"
  | "answer-malformed"
  | "answer-head-too-large"
  | "answer-coding-unsupported";

/** One thing that is refused. */
export interface ViolationKind {
  readonly fault: WireFault;
  /** For a person: what was found. */
  readonly text: string;
}

// [fault in a request, fault in an answer ("" = cannot happen there), what was found]
const table = {
  none: ["request-malformed", "", "nothing is wrong"],
  // First line of a request.
  emptyLines: ["request-malformed", "", "too many empty lines before the request"],
  tlsHandshake: ["request-malformed", "", "a TLS handshake on a listener without TLS"],
  methodByte: ["request-malformed", "", "a byte that cannot be part of a method"],
  targetEmpty: ["request-malformed", "", "two spaces, or no target, in the request line"],
  targetByte: ["request-malformed", "", "a control byte in the request target"],
  targetHighByte: ["request-malformed", "", "a byte beyond ASCII in the request target"],
  targetFragment: ["request-malformed", "", 'a "#" in the request target'],
  targetTooLong: ["request-target-too-long", "", "a request target longer than the limit"],
  targetForm: ["request-malformed", "", "a request target that does not fit its method"],
  targetScheme: ["request-malformed", "", "an absolute target that is not an http or https URL"],
  versionMissing: ["request-malformed", "", "a request line without a version (HTTP/0.9)"],
  versionMalformed: ["request-malformed", "answer-malformed", "a malformed HTTP version"],
  versionUnsupported: ["request-version-unsupported", "answer-malformed", "an HTTP version other than 1.0 and 1.1"],
  // First line of an answer.
  statusLine: ["request-malformed", "answer-malformed", "a malformed status line"],
  statusRange: ["request-malformed", "answer-malformed", "a status outside 100 to 599"],
  reasonByte: ["request-malformed", "answer-malformed", "a control byte in the reason phrase"],
  // Lines.
  bareCr: ["request-malformed", "answer-malformed", "a CR without LF"],
  bareLf: ["request-malformed", "answer-malformed", "an LF without CR"],
  nameEmpty: ["request-malformed", "answer-malformed", "a field without a name"],
  nameByte: ["request-malformed", "answer-malformed", "a byte that cannot be part of a field name"],
  nameSpace: ["request-malformed", "answer-malformed", "white space between a field name and its colon"],
  nameUnderscore: ["request-malformed", "answer-malformed", 'a field name with "_"'],
  colonMissing: ["request-malformed", "answer-malformed", "a field line without a colon"],
  fold: ["request-malformed", "answer-malformed", "a field line that begins with white space (obsolete folding)"],
  valueByte: ["request-malformed", "answer-malformed", "a control byte in a field value"],
  fieldTooLarge: ["request-head-too-large", "answer-head-too-large", "a field line longer than the limit"],
  fieldsTooMany: ["request-head-too-large", "answer-head-too-large", "more fields than the limit"],
  headTooLarge: ["request-head-too-large", "answer-head-too-large", "a head larger than the limit"],
  // What the fields say together.
  lengthAndCoding: ["request-ambiguous", "answer-malformed", "Content-Length together with Transfer-Encoding"],
  lengthTwice: ["request-ambiguous", "answer-malformed", "more than one Content-Length"],
  lengthMalformed: ["request-malformed", "answer-malformed", "a Content-Length that is not 1 to 15 digits"],
  codingTwice: ["request-ambiguous", "answer-malformed", "more than one Transfer-Encoding"],
  codingOldVersion: ["request-ambiguous", "answer-malformed", "Transfer-Encoding in HTTP/1.0"],
  codingMalformed: ["request-malformed", "answer-malformed", "a malformed Transfer-Encoding"],
  codingUnsupported: [
    "request-coding-unsupported",
    "answer-coding-unsupported",
    "a transfer coding other than chunked",
  ],
  connectionTooMany: ["request-malformed", "answer-malformed", "a Connection that names more fields than may be sent"],
  hostMissing: ["request-host-invalid", "", "no Host"],
  hostTwice: ["request-host-invalid", "", "more than one Host"],
  hostMalformed: ["request-host-invalid", "", "a malformed Host"],
  hostUserinfo: ["request-host-invalid", "", "a user name before the host"],
  hostContradicts: ["request-host-invalid", "", "a Host that contradicts the request target"],
  expectation: ["request-expectation-failed", "", "an expectation other than 100-continue"],
  // Chunked bodies.
  chunkSize: ["request-body-malformed", "answer-malformed", "a malformed chunk size"],
  chunkSizeTooLong: ["request-body-malformed", "answer-malformed", "a chunk size of more than 13 digits"],
  chunkExtension: ["request-body-malformed", "answer-malformed", "a malformed chunk extension"],
  chunkLineTooLong: ["request-body-malformed", "answer-malformed", "a chunk line of more than 256 bytes"],
  chunkExtensionsTooMany: ["request-body-malformed", "answer-malformed", "more than 4 KiB of chunk extensions"],
  chunkLineEnd: ["request-body-malformed", "answer-malformed", "a chunk line that does not end in CRLF"],
  chunkDataEnd: ["request-body-malformed", "answer-malformed", "chunk data that is not followed by CRLF"],
  trailerMalformed: ["request-body-malformed", "answer-malformed", "a malformed trailer field"],
  trailersTooMany: ["request-head-too-large", "answer-head-too-large", "more trailer fields than the limit"],
  trailersTooLarge: ["request-head-too-large", "answer-head-too-large", "trailer fields larger than the limit"],
} as const satisfies Record<string, readonly [WireFault, WireFault | "", string]>;

const rows = Object.entries(table);

/** Numbers of the violations as found in a request; `inAnswer` gives the number of the same in an answer. */
export const Violation = Object.fromEntries(rows.map(([name], number) => [name, number])) as {
  readonly [name in keyof typeof table]: number;
};

/** What each violation number means: first all for requests, then the same list for answers. */
export const violations: readonly ViolationKind[] = [
  ...rows.map(([, [fault, , text]]) => ({ fault, text })),
  ...rows.map(([, [, fault, text]]) => ({ fault: fault === "" ? ("answer-malformed" as const) : fault, text })),
];

/** The number of a violation when an answer commits it. */
export function inAnswer(violation: number): number {
  return violation + rows.length;
}

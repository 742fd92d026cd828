// What is wrong or doubtful about a certificate: data that `plimsoll check`, a reload and the renewal of certificates tell.

/** Stable names, for tests and for those who alert on them. */
export type CertificateTrouble =
  | "unreadable"
  | "no-certificate"
  | "no-key"
  | "encrypted-key"
  | "unknown-key-kind"
  | "key-mismatch"
  | "leaf-not-first"
  | "chain-order"
  | "chain-broken"
  | "chain-incomplete"
  | "expired"
  | "not-yet-valid"
  | "expires-soon"
  | "weak-signature"
  | "weak-key"
  | "no-names"
  | "wrong-usage"
  | "no-authority"
  | "no-revocations"
  | "stray-revocations"
  | "key-exposed";

/** One thing to tell. `error`: nobody could use it. `warning`: it can be served, and some or all clients will refuse it, or soon will. */
export interface CertificateFinding {
  readonly severity: "error" | "warning";
  readonly trouble: CertificateTrouble;
  /** Which of the two files it is about. */
  readonly part: "cert" | "key";
  /** One sentence without a full stop. */
  readonly message: string;
  readonly why?: string;
  /** The next step. */
  readonly hint?: string;
}

export type Tell = (finding: CertificateFinding) => void;

// How large a head may be. The same limits hold whole or in pieces: they are checked in the order of the bytes.

/** Limits of one head. */
export interface HeadLimits {
  /** First line, fields and the empty line, in bytes. */
  readonly headBytes: number;
  /** Request target in bytes; not looked at in answers. */
  readonly targetBytes: number;
  /** One field line in bytes, without its CRLF. */
  readonly fieldBytes: number;
  readonly fields: number;
}

export const requestLimits: HeadLimits = { headBytes: 16384, targetBytes: 8192, fieldBytes: 8192, fields: 100 };

/** Answers are larger than requests (policies, many cookies), and only the whole is limited. */
export const answerLimits: HeadLimits = { headBytes: 32768, targetBytes: 0, fieldBytes: 32768, fields: 128 };

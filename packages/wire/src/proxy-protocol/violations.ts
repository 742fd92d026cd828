// Everything that makes bytes no PROXY protocol header, as numbers that cost nothing to pass around.

const table = {
  none: "nothing is wrong",
  /** The only one that says: these bytes are something else. All others began as a header. */
  absent: "no PROXY protocol header",
  tooLong: "a header longer than the limit",
  // Version 1.
  lineTooLong: "a version 1 line of more than 107 bytes",
  lineByte: "a byte that cannot be part of a version 1 line",
  lineEnd: "a version 1 line that does not end in CRLF",
  lineForm: "a version 1 line with a part too few or too many",
  protocol: "a protocol other than TCP4, TCP6 and UNKNOWN",
  address: "a malformed address",
  port: "a malformed port",
  // Version 2.
  version: "a version other than 2 after the version 2 signature",
  command: "a command other than LOCAL and PROXY",
  family: "an unassigned address family or transport",
  addressLength: "a length with no room for the addresses",
  tlvForm: "a TLV that runs over the end of the header",
  tlvTwice: "the same TLV twice",
  checksum: "a CRC32C that does not match",
  checksumForm: "a CRC32C that is not four bytes",
  alpn: "an empty ALPN",
  authority: "an authority that is no host name",
  uniqueId: "a unique id of more than 128 bytes",
  tlsForm: "a malformed SSL TLV",
} as const;

const names = Object.keys(table);

/** Numbers of the violations. */
export const ProxyViolation = Object.fromEntries(names.map((name, number) => [name, number])) as {
  readonly [name in keyof typeof table]: number;
};

/** For a person, by number: what was found. */
export const proxyViolations: readonly string[] = Object.values(table);

// Everything that makes bytes no ClientHello, as numbers that cost nothing to pass around.

const table = {
  none: "nothing is wrong",
  /** The only one that says: these bytes are something else. All others began as TLS. */
  absent: "no TLS handshake",
  // Records.
  recordVersion: "a TLS record of a version that does not exist",
  recordType: "a record of another type within the ClientHello",
  recordEmpty: "an empty handshake record",
  recordTooLong: "a TLS record of more than 16 KiB",
  recordsTooMany: "a ClientHello in too many records",
  otherMessage: "a handshake message other than ClientHello",
  tooLong: "a ClientHello longer than the limit",
  trailing: "bytes after the ClientHello in its last record",
  // The message.
  version: "a ClientHello for SSL 3 or older",
  short: "a ClientHello that ends within a part",
  sessionId: "a session id of more than 32 bytes",
  cipherSuites: "a malformed list of cipher suites",
  compression: "a list of compression methods without the null one",
  extensionForm: "an extension that runs over the end",
  extensionsTooMany: "more extensions than the limit",
  extensionTwice: "the same extension twice",
  // Extensions.
  serverName: "a malformed server name extension",
  serverNameByte: "a server name that is no DNS name",
  alpn: "a malformed ALPN extension",
  versions: "a malformed list of supported versions",
  ech: "a malformed encrypted ClientHello extension",
} as const;

const names = Object.keys(table);

/** Numbers of the violations. */
export const HelloViolation = Object.fromEntries(names.map((name, number) => [name, number])) as {
  readonly [name in keyof typeof table]: number;
};

/** For a person, by number: what was found. */
export const helloViolations: readonly string[] = Object.values(table);

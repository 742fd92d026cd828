// proxy-protocol/ reads and writes the header that says for whom a connection is made, in both versions. It must not know
// who may be believed, nor what is done with an address.
// This file is the door for other packages; files in here import each other directly.
export type { ProxyExtras, ProxyTls } from "./header.ts";
export { ProxyHeader } from "./header.ts";
export { parseProxyHeader, proxyHeaderLimit } from "./parse.ts";
export { ProxyViolation, proxyViolations } from "./violations.ts";
export type { ProxyAddresses, ProxyWriteOptions } from "./write.ts";
export { writeProxyHeader, writeProxyLine, writeProxyLocal } from "./write.ts";

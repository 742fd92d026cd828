// client-hello/ reads what a TLS client asks for (server name, protocols, versions) without speaking TLS. It must not know
// certificates, routes or sockets.
// This file is the door for other packages; files in here import each other directly.
export type { ClientHello } from "./client-hello.ts";
export type { HelloLimits } from "./reader.ts";
export { ClientHelloReader, helloLimits } from "./reader.ts";
export { HelloViolation, helloViolations } from "./violations.ts";

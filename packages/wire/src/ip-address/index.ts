// ip-address/: IP addresses as text and as bytes. It must not know ports, sockets or names.
// This file is the door for other packages; files in here import each other directly.
export { formatIpAddress, formatIpv4 } from "./format.ts";
export { isIpv4Mapped, parseIpAddress, parseIpv4 } from "./parse.ts";

// An `Address` as the kernel wants it (struct sockaddr) and back.

import { readFileSync } from "node:fs";
import type { Address } from "./transport.ts";
import { cString, libc, linux } from "./libc.ts";

/** A socket address in the kernel's form: hand over `bytes` and its length. */
export interface KernelAddress {
  readonly family: number;
  readonly bytes: Uint8Array;
}

/**
 * Encodes an address. Returns a sentence saying what is wrong with it instead, for a name where an IP address belongs
 * or a path that is too long. IPv6 scopes are understood (`fe80::1%eth0`).
 */
export function encodeAddress(address: Address): KernelAddress | string {
  if (address.kind === "unix") return encodePath(address.path);
  const { host, port } = address;
  if (!Number.isInteger(port) || port < 0 || port > 65535) return `${port} is not a port number`;
  if (!host.includes(":")) {
    const bytes = new Uint8Array(16);
    if (libc.inet_pton(linux.AF_INET, cString(host), bytes.subarray(4, 8)) !== 1)
      return `"${host}" is not an IP address`;
    putFamily(bytes, linux.AF_INET);
    putPort(bytes, port);
    return { family: linux.AF_INET, bytes };
  }
  const bytes = new Uint8Array(28);
  const percent = host.indexOf("%");
  const bare = percent < 0 ? host : host.slice(0, percent);
  if (libc.inet_pton(linux.AF_INET6, cString(bare), bytes.subarray(8, 24)) !== 1)
    return `"${host}" is not an IP address`;
  if (percent >= 0) {
    const zone = host.slice(percent + 1);
    const scope = /^\d+$/.test(zone) ? Number(zone) : libc.if_nametoindex(cString(zone));
    if (scope === 0) return `there is no network interface "${zone}" for ${host}`;
    new DataView(bytes.buffer).setUint32(24, scope, true);
  }
  putFamily(bytes, linux.AF_INET6);
  putPort(bytes, port);
  return { family: linux.AF_INET6, bytes };
}

/** The port in a kernel address that `getsockname` filled in; 0 for Unix sockets. */
export function portOf(bytes: Uint8Array): number {
  const family = bytes[0]!;
  return family === linux.AF_INET || family === linux.AF_INET6 ? bytes[2]! * 256 + bytes[3]! : 0;
}

/** The IP address in a kernel address; "" for other families. IPv6 in its shortest form, without its scope. */
export function hostOf(bytes: Uint8Array): string {
  if (bytes[0] === linux.AF_INET) return bytes.subarray(4, 8).join(".");
  if (bytes[0] !== linux.AF_INET6) return "";
  const words = Array.from({ length: 8 }, (_, at) => bytes[8 + at * 2]! * 256 + bytes[9 + at * 2]!);
  // A URL's host is written as RFC 5952 asks.
  return new URL(`http://[${words.map((word) => word.toString(16)).join(":")}]`).hostname.slice(1, -1);
}

/**
 * Whether the kernel has just connected `fd` to itself: nobody listens at `target`, which is on this machine, and its port was the
 * one that was chosen for our own side. TCP takes that for two sides that connect at the same time, UDP for a peer like any other,
 * and whoever writes is answered by itself. Costs a system call only for ports that the kernel gives away.
 */
export function isOwnAddress(fd: number, target: KernelAddress): boolean {
  const port = portOf(target.bytes);
  if (port < givenAway.lowest || port > givenAway.highest) return false;
  const own = ownAddress.subarray(0, target.bytes.length);
  ownLength[0] = own.length;
  if (libc.getsockname(fd, own, ownLength) < 0) return false;
  const [from, to] = target.family === linux.AF_INET ? ipv4Host : ipv6Host;
  return portOf(own) === port && own.subarray(from, to).equals(target.bytes.subarray(from, to));
}

const ownAddress = Buffer.alloc(28);
const ownLength = new Uint32Array(1);
const ipv4Host = [4, 8] as const;
const ipv6Host = [8, 24] as const;

/** Ports for our own side of connections. Without /proc: any. */
const givenAway = ((): { readonly lowest: number; readonly highest: number } => {
  try {
    const [lowest = 0, highest = 65535] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8")
      .trim()
      .split(/\s+/)
      .map(Number);
    return { lowest, highest };
  } catch {
    return { lowest: 0, highest: 65535 };
  }
})();

/** How people write it: 127.0.0.1:80, [::1]:80, or the path. */
export function addressText(address: Address): string {
  if (address.kind === "unix") return address.path;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** IPv4-mapped IPv6 (::ffff:192.0.2.1) as plain IPv4: one spelling for logs, hashes and CIDR tests. */
export function plainAddress(text: string | undefined): string {
  if (text === undefined) return "";
  return text.startsWith("::ffff:") && text.includes(".") ? text.slice(7) : text;
}

// sun_path holds 108 bytes with its closing NUL. A leading "@" means the abstract namespace, as in every other tool.
function encodePath(path: string): KernelAddress | string {
  const text = Buffer.from(path, "utf8");
  if (text.length === 0) return "the path of a Unix socket is empty";
  if (text.length > 107) return `the path ${path} is longer than the 107 bytes that Unix sockets allow`;
  const abstract = text[0] === 0x40;
  const bytes = new Uint8Array(2 + text.length + (abstract ? 0 : 1));
  bytes.set(text, 2);
  if (abstract) bytes[2] = 0;
  putFamily(bytes, linux.AF_UNIX);
  return { family: linux.AF_UNIX, bytes };
}

// Both x64 and arm64 Linux are little-endian; the port alone is in network order.
function putFamily(bytes: Uint8Array, family: number): void {
  bytes[0] = family;
}

function putPort(bytes: Uint8Array, port: number): void {
  bytes[2] = port >> 8;
  bytes[3] = port & 255;
}

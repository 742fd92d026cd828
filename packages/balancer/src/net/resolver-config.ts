// What the machine says about names: /etc/resolv.conf and /etc/hosts, read as resolv.conf(5) and hosts(5) have them.

import { isIP } from "node:net";

/** A DNS server. */
export interface DnsServer {
  /** An IP address, never a name. */
  readonly host: string;
  readonly port: number;
}

/** How to ask. */
export interface ResolverConfig {
  /** In the order in which they are tried; never empty. */
  readonly servers: readonly DnsServer[];
  /** Domains that are appended to short names. */
  readonly search: readonly string[];
  /** A name with at least so many dots is tried as it is before the search list. */
  readonly ndots: number;
  /** For one question to one server. */
  readonly timeoutMs: number;
  /** Rounds over all servers. */
  readonly attempts: number;
  /** Begin with another server each time. */
  readonly rotate: boolean;
  /** Ask over TCP from the start. */
  readonly tcpOnly: boolean;
}

/** Reads resolv.conf. What it does not understand it skips, as every resolver does; no server means the local one. */
export function parseResolvConf(text: string): ResolverConfig {
  const servers: DnsServer[] = [];
  let search: string[] = [];
  const options = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (/^\s*[#;]/.test(line)) continue;
    const [key, ...words] = line.trim().split(/\s+/);
    if (key === "nameserver") {
      const host = words[0] ?? "";
      if (isIP(host.split("%")[0]!) !== 0 && servers.length < 3) servers.push({ host, port: 53 });
    } else if (key === "search" || key === "domain") {
      // The last of the two wins; "." means none.
      search = words.slice(0, key === "domain" ? 1 : 32).flatMap((word) => withoutDot(word) || []);
    } else if (key === "options") {
      for (const word of words) {
        const colon = word.indexOf(":");
        options.set(colon < 0 ? word : word.slice(0, colon), colon < 0 ? "" : word.slice(colon + 1));
      }
    }
  }
  const number = (name: string, otherwise: number, least: number, most: number): number => {
    const given = options.get(name);
    return given === undefined || !/^\d+$/.test(given) ? otherwise : Math.min(most, Math.max(least, Number(given)));
  };
  return {
    servers: servers.length > 0 ? servers : [{ host: "127.0.0.1", port: 53 }],
    search,
    ndots: number("ndots", 1, 0, 15),
    timeoutMs: number("timeout", 5, 1, 30) * 1000,
    attempts: number("attempts", 2, 1, 5),
    rotate: options.has("rotate"),
    tcpOnly: options.has("use-vc"),
  };
}

/** Addresses of one name in the hosts file, in its order. */
export interface HostsEntry {
  readonly A: string[];
  readonly AAAA: string[];
}

/** Reads a hosts file into names (lower case) and their addresses. */
export function parseHosts(text: string): Map<string, HostsEntry> {
  const hosts = new Map<string, HostsEntry>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const family = isIP(address);
    if (family === 0) continue;
    for (const each of names) {
      const name = withoutDot(each.toLowerCase());
      let entry = hosts.get(name);
      if (entry === undefined) hosts.set(name, (entry = { A: [], AAAA: [] }));
      const list = family === 4 ? entry.A : entry.AAAA;
      if (!list.includes(address)) list.push(address);
    }
  }
  return hosts;
}

/**
 * The names to ask for, in order: `web` with the search list `prod.svc` is `web.prod.svc`, then `web`; with enough dots
 * the other way round; with a dot at the end only as it is.
 */
export function candidates(name: string, config: Pick<ResolverConfig, "search" | "ndots">): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const searched = config.search.map((domain) => `${name}.${domain}`).filter((each) => isName(each));
  const dots = name.split(".").length - 1;
  return dots >= config.ndots ? [name, ...searched] : [...searched, name];
}

/** Whether DNS can be asked for it: labels of 1 to 63 letters, digits, "-" and "_", 253 in all. */
export function isName(name: string): boolean {
  return name.length > 0 && name.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/i.test(name);
}

function withoutDot(name: string): string {
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

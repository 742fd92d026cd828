// For which names there are certificates for development.
import { parseHost } from "@plimsoll/balancer/src/config/host.ts";
import { CidrSet, parseCidr } from "@plimsoll/balancer/src/base/cidr.ts";
import { UsageError } from "../spec.ts";

/**
 * What the authority may issue for, and is limited to by its own certificate, these and all below them: names that nobody can
 * own on the internet (RFC 6761, RFC 8375, ICANN's .internal). A key that is stolen from a developer's machine must not
 * speak for a bank.
 */
export const permittedNames = ["localhost", "test", "example", "invalid", "internal", "home.arpa", "local"] as const;

/** Addresses that are not routed on the internet. Only this program keeps to them: see makeAuthority. */
const permittedRanges = [
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
];
const addresses = new CidrSet(permittedRanges.map((range) => parseCidr(range)).filter((range) => range !== null));

/** A name as the certificate holds it; throws a UsageError for one that it cannot hold. */
export function developmentName(written: string): string {
  const host = parseHost(written);
  if ("reason" in host) throw new UsageError(`${written}: ${host.reason}; ${host.hint}.`);
  if (host.kind === "any") throw new UsageError("* alone is no name; write shop.localhost, or *.shop.localhost.");
  const bare = host.host.replace(/^\[(.*)\]$/, "$1");
  const isAddress = parseCidr(bare) !== null;
  const allowed = isAddress
    ? addresses.contains(bare)
    : permittedNames.some((name) => (host.kind === "exact" && bare === name) || bare.endsWith(`.${name}`));
  if (!allowed) {
    const what = isAddress ? "an address of the internet" : "a name that somebody on the internet can own";
    throw new UsageError(
      `${written} is ${what}, and the development authority issues for none of those. ` +
        `Names end in ${permittedNames.map((name) => `.${name}`).join(", ")}: ${isAddress ? "127.0.0.1" : `${bare.split(".")[0]}.localhost`} would do.`,
    );
  }
  return host.kind === "suffix" ? `*.${bare}` : bare;
}

/** The name of a file for a certificate of this name, without its ending. */
export function fileName(name: string): string {
  return name.replace(/^\*\./, "wildcard.").replaceAll(":", "-");
}

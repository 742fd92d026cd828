// Whether certificates that are to be ordered can be had.
import { letsEncrypt, letsEncryptStaging } from "../acme.ts";
import type { Meant } from "./meant.ts";
import { error, warning, type Finding, type Path } from "../problem.ts";

/** Names that no public authority issues for (CA/Browser Forum BR §4.2.2, RFC 6761). */
const internal = /(^|\.)(localhost|local|test|example|invalid|internal|home\.arpa|lan|corp|home)$/;
/** Most names of one certificate at Let's Encrypt. */
const mostNames = 100;

export function checkIssuing({ config, plan }: Meant): Finding[] {
  const asked = Object.entries(config.listeners).filter(([, { tls }]) => (tls?.acme.length ?? 0) > 0);
  const { acme } = config;
  if (acme === undefined) {
    return asked.map(([name]) => ({
      ...error(
        ["listeners", name, "tls", "acme"],
        "nothing says from whom the certificate is to be ordered",
        "add, at the top: acme: { acceptTerms: true, email: ops@example.com }",
      ),
      depends: [["acme"]],
    }));
  }
  if (asked.length === 0) {
    const hint = "name them: listeners: { web: { tls: { acme: [shop.example] } } }";
    return [
      {
        ...warning(["acme"], "no listener asks for a certificate, so none is ordered", hint),
        atKey: true,
        depends: [["listeners"]],
      },
    ];
  }
  const findings: Finding[] = [];
  if (!acme.acceptTerms) {
    const hint = "read them, and write acceptTerms: true";
    findings.push(
      error(["acme", "acceptTerms"], "the authority issues only to who agrees to its terms of service", hint),
    );
  }
  if (acme.staging && acme.directory !== undefined) {
    const hint = "remove one of the two";
    findings.push(
      error(["acme", "staging"], "staging is Let's Encrypt's, and directory names an authority of your own", hint),
    );
  }
  if (acme.challenge === "dns-01" && acme.hook === undefined) {
    const hint = "add hook: { command: [/usr/local/bin/dns-record] }";
    findings.push(error(["acme", "challenge"], "dns-01 needs somebody who makes the record", hint));
  }
  if (acme.challenge !== "dns-01" && acme.hook !== undefined) {
    findings.push(
      warning(
        ["acme", "hook"],
        `${acme.challenge} needs no hook, so this has no effect`,
        "remove it, or write challenge: dns-01",
      ),
    );
  }
  if (acme.challenge === "http-01" && !hasPlainPort(plan.listeners, config)) {
    findings.push({
      ...warning(
        ["acme", "challenge"],
        "no http listener without tls is on port 80, where http-01 is asked",
        "add one, or have port 80 forwarded to one: listeners: { plain: { address: :80, routes: [...] } }",
      ),
      why: "the authority cannot see that the names are yours, and issues nothing",
    });
  }
  if (acme.challenge === "tls-alpn-01" && !hasTlsPort(plan.listeners)) {
    findings.push({
      ...warning(
        ["acme", "challenge"],
        "no http listener with tls is on port 443, where tls-alpn-01 is asked",
        "have port 443 forwarded to one as it is, or write challenge: http-01 or dns-01",
      ),
      why: "the authority cannot see that the names are yours, and issues nothing",
    });
  }
  const directory = plan.acme?.directory;
  const isPublic = directory === letsEncrypt || directory === letsEncryptStaging;
  for (const [name, { tls }] of asked) {
    const path = ["listeners", name, "tls", "acme"];
    findings.push(...checkNames(tls?.acme ?? [], path, acme.challenge, isPublic));
  }
  return findings;
}

function hasPlainPort(listeners: Meant["plan"]["listeners"], config: Meant["config"]): boolean {
  return listeners.some(
    ({ name, address, protocol, plainRoutes }) =>
      address.port === 80 &&
      (plainRoutes !== null || (protocol === "http" && config.listeners[name]?.tls === undefined)),
  );
}

function hasTlsPort(listeners: Meant["plan"]["listeners"]): boolean {
  return listeners.some(({ address, protocol, tls }) => address.port === 443 && protocol === "http" && tls !== null);
}

function checkNames(names: readonly string[], path: Path, challenge: string, isPublic: boolean): Finding[] {
  const findings: Finding[] = [];
  if (new Set(names).size > mostNames) {
    const hint = "give each listener its own, or order one for *.shop.example";
    findings.push(error(path, `one certificate holds at most ${mostNames} names`, hint));
  }
  for (const [index, name] of names.entries()) {
    const at = [...path, index];
    if (name.startsWith("*.") && challenge !== "dns-01") {
      const hint = "write acme.challenge: dns-01 with a hook, or list the names one by one";
      findings.push(error(at, "a wildcard is issued for dns-01 only (RFC 8555 §8.3)", hint));
    } else if (isPublic && (internal.test(name) || !name.includes("."))) {
      const hint = "for development: plimsoll cert dev; within a network: an authority of your own as acme.directory";
      findings.push(error(at, `Let's Encrypt issues nothing for ${name}: nobody can own that name`, hint));
    }
    if (names.indexOf(name) < index) findings.push(warning(at, `${name} stands here twice`, "remove one of them"));
  }
  return findings;
}

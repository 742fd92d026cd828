// Who may ask the admin API. The admin API has no password; what protects it is that it listens on loopback. A page in the
// operator's browser can reach loopback too, by a form or a script (cross-site), or under a name of its own that it
// points to 127.0.0.1 (DNS rebinding). Both are told by the Host and Origin that a browser always sends.

/** What a request says of itself. */
export interface Asker {
  readonly method: string;
  readonly path: string;
  /** Host field; null when missing. */
  readonly host: string | null;
  readonly origin: string | null;
  /** Sec-Fetch-Site, where a browser sends it. */
  readonly site: string | null;
}

/** Pages that a scraper or a prober may ask for under any name, when the address is not loopback. */
const harmless = new Set(["/metrics", "/healthz", "/readyz"]);

/** "" if the request may go on, else a sentence that says why not. `address` is what the admin API is bound to. */
export function refusal(asker: Asker, address: string): string {
  const name = hostName(asker.host);
  if (name === null) return "the Host field is missing or malformed";
  if (!isLiteral(name)) {
    const byName = !isLoopback(address) && asker.method === "GET" && harmless.has(asker.path);
    const byTool = !isLoopback(address) && asker.origin === null && asker.site === null && asker.method !== "GET";
    if (!byName && !byTool) {
      return `this address is reached by IP address or as localhost, not as ${JSON.stringify(name)} (protection against DNS rebinding)`;
    }
  }
  if (asker.origin !== null && !isOwnOrigin(asker.origin, asker.host ?? "")) {
    return "pages of other origins may not ask";
  }
  if (asker.site !== null && asker.site !== "same-origin" && asker.site !== "none") {
    return "pages of other sites may not ask";
  }
  return "";
}

/** The host without its port, lower case; null when it is none. */
function hostName(host: string | null): string | null {
  if (host === null) return null;
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(host.toLowerCase())?.[1] ?? null;
}

/** An IP address, or localhost, which browsers never look up elsewhere: nobody can point these at us. */
function isLiteral(name: string): boolean {
  return name === "localhost" || name.startsWith("[") || /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
}

function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || address.startsWith("127.");
}

function isOwnOrigin(origin: string, host: string): boolean {
  const name = hostName(host);
  return name !== null && isLiteral(name) && origin.toLowerCase() === `http://${host.toLowerCase()}`;
}

// Whether a port can be listened on.
import type { HostPort } from "../values.ts";

/** Tries it, and gives it back at once. */
export function portIsFree(address: HostPort): boolean {
  try {
    Bun.listen({ hostname: address.host, port: address.port, exclusive: true, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

/** The first free port from `from` on; `from` itself if none of the next hundred is free. */
export function nextFreePort(host: string, from: number): number {
  for (let port = from; port < Math.min(from + 100, 65_536); port++) if (portIsFree({ host, port })) return port;
  return from;
}

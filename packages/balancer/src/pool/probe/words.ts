// Which probe it was, in a word or two, for events and for status.
import type { ReadinessPlan } from "../plan.ts";

/** "GET /readyz", "TCP connect", "TLS handshake", "command /usr/bin/check". */
export function probeWords(plan: ReadinessPlan): string {
  switch (plan.probe) {
    case "http":
      return `${plan.method} ${plan.path}`;
    case "tcp":
      return "TCP connect";
    case "tls":
      return "TLS handshake";
    case "script":
      return "script";
    case "postgres":
      return "PostgreSQL startup";
    case "redis":
      return "Redis PING";
    case "mysql":
      return "MySQL login";
    case "smtp":
      return "SMTP EHLO";
    case "command":
      return `command ${plan.command?.words[0] ?? ""}`;
  }
}

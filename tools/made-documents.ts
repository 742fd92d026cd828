// Documents that are made from the code's own tables, so that they cannot say something else than the code does.
// Must not know about checking or writing; it only returns text.
import { type FaultKind, faults } from "../packages/balancer/src/base/fault.ts";
import { madeFiles } from "../packages/balancer/src/config/generate.ts";

/** One made document: where it lies, from the root, and its whole text. */
export interface MadeDocument {
  readonly file: string;
  readonly text: string;
}

export function madeDocuments(): readonly MadeDocument[] {
  const configuration = madeFiles.map(({ path, render }) => ({ file: path, text: render() }));
  return [{ file: "docs/errors.md", text: errorsDocument(faults) }, ...configuration];
}

const sides = {
  client: ["What a client did", "The balancer answers these itself; no endpoint saw a whole request."],
  self: ["What the balancer decided", "No endpoint is to blame; look at routes, limits and readiness."],
  upstream: ["What an endpoint did", "The application, its host, or the network between."],
} as const;

const retries = {
  never: "no",
  always: "yes, within the budget",
  "fresh-connection": "if it is safe to repeat",
} as const;

/** docs/errors.md from the register of faults. */
export function errorsDocument(register: Readonly<Record<string, FaultKind>>): string {
  const lines = [
    "# Error codes",
    "",
    "<!-- Made by `npm run docs` from packages/balancer/src/base/fault.ts; edit there. -->",
    "",
    "Whenever the balancer itself answers an exchange, or cuts one short, the reason has one of these codes. The code is in the",
    "`Proxy-Status` field of the answer (RFC 9209, as `details`), in the access log as `fault`, and in the metrics as the label",
    "`code`. Codes are stable. An answer without a code came from the application.",
    "",
    "Status 0 means that no answer could be sent any more: the connection is closed, so that a part is never taken for the",
    'whole. "Sent again" says whether the same request may go to another endpoint, within attempts, budget and `retry.on`: what is',
    "safe to repeat, and when, is in [retries](retries.md). The rung is the level of the [timeouts](timeouts.md) that expired; the",
    "access log has it as `rung`.",
  ];
  for (const [side, [title, text]] of Object.entries(sides)) {
    const rows = Object.entries(register).filter(([, kind]) => kind.side === side);
    if (rows.length === 0) continue;
    lines.push("", `## ${title}`, "", text, "");
    lines.push("| code | status | `Proxy-Status` error | sent again | rung | meaning |", "|---|---|---|---|---|---|");
    for (const [code, kind] of rows) {
      const { status, proxyStatus, retry, rung, text } = kind;
      lines.push(`| \`${code}\` | ${status} | \`${proxyStatus}\` | ${retries[retry]} | ${rung} | ${text} |`);
    }
  }
  return `${lines.join("\n")}\n`;
}

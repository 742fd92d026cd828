// Reads the counts and names that matter out of a JUnit report as Bun writes it.

/** What one report says. Names are "describe > test". */
export interface Tally {
  readonly passed: number;
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
}

export function readReport(xml: string): Tally {
  const failed: string[] = [];
  const skipped: string[] = [];
  let passed = 0;
  for (const [, attributes = "", selfClosed, body = ""] of xml.matchAll(
    /<testcase\b((?:[^>"]|"[^"]*")*?)(?:(\/)>|>([\s\S]*?)<\/testcase>)/g,
  )) {
    const group = attribute(attributes, "classname");
    const name = attribute(attributes, "name");
    const title = group === "" ? name : `${group} > ${name}`;
    if (selfClosed) passed++;
    else if (/<(failure|error)\b/.test(body)) failed.push(title);
    else if (/<skipped\b/.test(body)) skipped.push(title);
    else passed++;
  }
  return { passed, failed, skipped };
}

function attribute(attributes: string, name: string): string {
  const raw = new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  return raw.replace(/&(lt|gt|quot|apos|amp|#\d+);/g, (whole, entity: string) => {
    if (entity.startsWith("#")) return String.fromCodePoint(Number(entity.slice(1)));
    return { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" }[entity] ?? whole;
  });
}

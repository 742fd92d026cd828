// The table of the story, and the lines in which somebody else does better.
import type { Chapter, Line } from "./chapters/chapter.ts";

export interface Told {
  readonly chapter: Chapter;
  readonly lines: readonly Line[];
  /** Why there are no lines. */
  readonly problem: string | undefined;
}

/** Times closer than this to each other are the same: they swing with whatever else the machine does. */
const sameTime = 1.25;

/** Lines in which a rival does better than this balancer. */
export function beaten(told: readonly Told[]): readonly string[] {
  return told.flatMap(({ chapter, lines }) =>
    lines.flatMap(({ title, unit, figures }) => {
      const ours = figures["plimsoll"];
      if (!ours) return [];
      return Object.entries(figures)
        .filter(([, one]) => (unit === "count" ? one.bad < ours.bad : one.bad * sameTime < ours.bad))
        .map(([name, one]) => `${chapter.name}, ${title}: ${name} ${one.text}; plimsoll ${ours.text}`);
    }),
  );
}

/** The whole report as Markdown. */
export function reportText(
  above: readonly string[],
  versions: Readonly<Record<string, string>>,
  told: readonly Told[],
): string {
  const names = Object.keys(versions);
  const lines = ["# The story of an endpoint", "", ...above, ""];
  for (const { chapter, lines: rows, problem } of told) {
    lines.push(`## ${chapter.title}`, "");
    if (problem !== undefined) lines.push(`Not told: ${problem}`, "");
    if (rows.length === 0) continue;
    const table = [
      ["", ...names.map((name) => versions[name] ?? name)],
      ...rows.map(({ title, figures }) => [title, ...names.map((name) => figures[name]?.text ?? "")]),
    ];
    const widths = table[0]?.map((_, at) => Math.max(3, ...table.map((row) => (row[at] ?? "").length))) ?? [];
    const rowText = (row: readonly string[]): string =>
      `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
    lines.push(rowText(table[0] ?? []), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
    lines.push(...table.slice(1).map(rowText), "");
  }
  const worse = beaten(told);
  lines.push("## Where somebody else does better", "");
  lines.push(...(worse.length > 0 ? worse.map((one) => `- ${one}`) : ["In no line of this run."]), "");
  return lines.join("\n");
}

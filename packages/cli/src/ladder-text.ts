// The timeout hierarchy as text: a ladder whose rungs get shorter from the top down, with a mark where one does not.
import type { Ladder, Rung, Section, Source } from "@plimsoll/balancer/src/config/hierarchy/ladder.ts";
import { sayParts } from "@plimsoll/balancer/src/config/hierarchy/rules.ts";
import { formatDuration } from "@plimsoll/balancer/src/base/units.ts";

/** Narrowest width that is drawn for; below it a terminal breaks the lines itself. */
const narrowest = 32;
/** Where there is room for a source beside its value. */
const wide = 76;

/** One ladder; `columns` is the width of the terminal. Lines end with a line feed. */
export function drawLadder(ladder: Ladder, columns: number): string {
  const width = Math.max(narrowest, columns);
  const lines = wrap(titleOf(ladder), "", "    ", width);
  for (const section of ladder.sections) {
    // Nothing of it is declared: there is no order to show.
    if (section.rungs.every(({ spare }) => spare === null) && section.title !== "answering") continue;
    lines.push("", `  ${section.title}`, ...drawSection(section, width));
  }
  return `${lines.join("\n")}\n`;
}

/** "pools.api, for web.routes[0]", "listeners.web.routes[1], to pool api". */
function titleOf({ path, pool, routes }: Ladder): string {
  if (!path.startsWith("pools")) return `${path}, to pool ${pool}`;
  return routes.length === 0 ? path : `${path}, for ${listRoutes(routes)}`;
}

/** The rungs of an answer on one line: "client 2m > balancer 1m30s > one try 1m > application 20s"; `!>` where one is too short. */
export function sayLadder(ladder: Ladder): string {
  const rungs = ladder.sections[0]?.rungs.filter(({ ms }) => ms !== null) ?? [];
  return rungs
    .map((rung, index) => {
      const mark = rung.state === "broken" ? "!>" : ">";
      return `${rung.name} ${valueOf(rung)}${index === rungs.length - 1 ? "" : ` ${mark} `}`;
    })
    .join("");
}

/** Routes that are named; there may be thousands. */
const mostRoutes = 5;

function listRoutes(routes: readonly string[]): string {
  const more = routes.length - mostRoutes;
  return routes.slice(0, mostRoutes).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function drawSection({ rungs }: Section, width: number): string[] {
  const names = Math.max(...rungs.map(({ name }) => name.length));
  const values = Math.max(...rungs.map((rung) => valueOf(rung).length));
  return rungs.flatMap((rung) => {
    const head = `  ${rung.ms === null ? ":  :" : "|==|"} ${rung.name.padEnd(names)}  ${valueOf(rung).padEnd(values)}`;
    const told = tellSource(rung);
    const indent = `${rail(rung)}   `;
    const lines =
      width >= wide ? wrap(told, `${head}  `, `${rail(rung)}${" ".repeat(head.length - 4)}`, width) : [head.trimEnd()];
    if (width < wide) lines.push(...wrap(told, indent, indent, width));
    for (const line of detailsOf(rung)) lines.push(...wrap(line, indent, `${indent}  `, width));
    if (rung.state !== "last") lines.push(...wrap(tellSpare(rung), indent, indent, width));
    return lines.map((line) => line.trimEnd());
  });
}

/** The sides of the ladder below a rung; broken where the rung is too short. */
function rail({ state }: Rung): string {
  if (state === "broken") return "  XXXX";
  return state === "tight" ? "  !  !" : state === "last" ? "      " : state === "unknown" ? "  :  :" : "  |  |";
}

function valueOf({ ms }: Rung): string {
  return ms === null ? "-" : formatDuration(ms);
}

function tellSource({ source, note }: Rung): string {
  const text = sourceText(source);
  return note === "" ? text : text === "" ? note : `${text}; ${note}`;
}

/** "pools.api.declared.client, plimsoll.yaml:28" */
export function sourceText({ kind, path, file, line }: Source): string {
  if (kind === "reckoned") return "";
  if (kind === "undeclared") return `not declared (${path})`;
  if (kind === "running") return path;
  if (kind === "default") return `${path}, by default`;
  if (file === "") return path;
  return `${path}, ${file}${line === 0 ? "" : `:${line}`}`;
}

function detailsOf({ tries, less }: Rung): string[] {
  const details: string[] = [];
  let number = 1;
  for (const { count, parts } of tries) {
    const which = count === 1 ? `try ${number}` : `tries ${number} to ${number + count - 1}, each`;
    details.push(`${which}: ${sayParts(parts)}`);
    number += count;
  }
  if (less.length > 0) details.push(`what it leaves to the application after ${sayParts(less)}`);
  return details;
}

function tellSpare({ state, spare, ms }: Rung): string {
  if (spare === null) return "";
  if (spare < 0) return `${state === "broken" ? "BROKEN" : "SHORT"}: ${formatDuration(-spare)} too short`;
  if (spare === 0 && state !== "holds")
    return `${state === "broken" ? "BROKEN: no longer than" : "TIGHT: just as long as"} what is below`;
  return ms === null ? "" : spare === 0 ? "enough" : `${formatDuration(spare)} to spare`;
}

/** Words into lines: the first begins with `first`, all others with `other`. A word that is too long has a line of its own. */
function wrap(text: string, first: string, other: string, width: number): string[] {
  if (text === "") return first.trim() === "" || /^[ |:!X]+$/.test(first) ? [] : [first];
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of text.split(" ")) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = other;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}

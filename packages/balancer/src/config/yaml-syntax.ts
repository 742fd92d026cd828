// What the YAML library says about broken syntax, in words for somebody who does not know YAML's grammar.
import type { YAMLParseError } from "yaml";
import type { Places } from "./place.ts";
import { error, type Problem } from "./problem.ts";

/** One slip makes the parser stumble over many lines; after the first few there is nothing more to learn. */
const mostShown = 5;

const braceMessage = "${...} within { } or [ ] ends the value";

/** Messages and hints by the library's code; its own message where none is given. */
const phrases: Partial<Record<YAMLParseError["code"], readonly [message: string | undefined, hint: string]>> = {
  TAB_AS_INDENT: ["a tab stands in the indentation", "YAML is indented with spaces only"],
  BAD_INDENT: [undefined, "align this line with the other keys of its map"],
  MULTIPLE_DOCS: ["the file holds more than one YAML document", "remove the line with ---"],
  BLOCK_AS_IMPLICIT_KEY: ["a second `key:` stands on one line", "put each key on its own line, or quote the value"],
  MULTILINE_IMPLICIT_KEY: [
    "this text runs over a line end before its colon",
    "is a colon missing at the end of a key?",
  ],
  BAD_SCALAR_START: [undefined, "put the value in quotes"],
  BAD_ALIAS: [undefined, "a value that begins with * or & needs quotes"],
  BAD_DQ_ESCAPE: ['"\\" begins an escape that does not exist', "write \\\\ for a backslash, or use single quotes"],
  TAG_RESOLVE_FAILED: [
    "this tag has no meaning here, or does not fit its value",
    "remove the tag; quote a value that begins with !",
  ],
  RESOURCE_EXHAUSTION: ["this is nested too deeply", "no setting needs more than a few levels"],
};

/** Syntax errors with places, the first few of them. */
export function syntaxProblems(errors: readonly YAMLParseError[], text: string, places: Places): Problem[] {
  const lines = new Set<number>();
  const problems: Problem[] = [];
  for (const fault of errors) {
    const offset = Math.min(Math.max(0, fault.pos[0]), text.length);
    const place = places.at(offset);
    if (lines.has(place.line) || problems.length === mostShown) continue;
    lines.add(place.line);
    const [message, hint] = phrase(fault, text, offset);
    // Everything after it is nonsense that it made.
    if (message === braceMessage) return [{ ...places.problem(error([], message, hint)), ...place }];
    problems.push({ ...places.problem(error([], message, hint)), ...place });
  }
  return problems;
}

function phrase(fault: YAMLParseError, text: string, offset: number): [message: string, hint: string | undefined] {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  const line = text.slice(start, text.indexOf("\n", offset) === -1 ? text.length : text.indexOf("\n", offset));
  // In { } and [ ], YAML reads the braces of a reference as its own.
  if (/[{[,]\s*[^"']*:?\s*\$\{/.test(line)) {
    return [braceMessage, 'put it in quotes: "${NAME}"'];
  }
  const [message, hint] = phrases[fault.code] ?? [undefined, undefined];
  if (message !== undefined) return [message, hint];
  if (/^\s*\t/.test(line)) return ["a tab stands in the indentation", "YAML is indented with spaces only"];
  if (/:\s+[@`%]/.test(line)) return ["a value cannot begin with @, ` or %", "put the value in quotes"];
  if (/(?<!<<):\s+\*[./\w]/.test(line) || /\[\s*\*/.test(line))
    return ["a value that begins with * is an alias in YAML", 'put it in quotes: "*.example.com"'];
  const bracket = /must be sufficiently indented and end with a ([\]}])$/.exec(fault.message)?.[1];
  if (bracket !== undefined)
    return [
      `a ${bracket === "]" ? "[ ]" : "{ }"} is not closed before this`,
      `add the missing ${bracket}, or indent it deeper than the key that it belongs to`,
    ];
  if (/^Missing closing .quote/.test(fault.message)) return ["a quoted text is never closed", "add the missing quote"];
  return [`this is not valid YAML: ${lowerFirst(fault.message)}`, hint];
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

// Regular expressions run on what strangers send. They are compiled when the configuration is read, and the shapes that
// are known to take exponential time are pointed out.
import type { Misread } from "../base/units.ts";

/** Longest source; a longer one is data that belongs into exact matches. */
const longestSource = 1024;

/** Compiles once to see whether it can be. Returns the source. */
export function parseRegex(source: string): string | Misread {
  if (source === "")
    return {
      reason: "the expression is empty",
      hint: "an empty expression matches everything; leave the condition out",
    };
  if (source.length > longestSource)
    return {
      reason: `the expression is longer than ${longestSource} characters`,
      hint: "match a list of values instead",
    };
  try {
    new RegExp(source);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/^.*?: /, "") : String(cause);
    return {
      reason: `the expression cannot be compiled: ${why}`,
      hint: "the grammar is JavaScript's; a literal dot or bracket needs a backslash",
    };
  }
  return source;
}

/**
 * Why an expression may be slow, or null. It is the star-height check: a group that may repeat without bound and whose
 * inside may repeat without bound, too, as in (a+)+. Simple, and honest about it: it warns of some expressions that are
 * harmless ((a+b)+ is), and does not see overlapping alternatives such as (a|a)*.
 */
export function slowRegex(source: string): string | null {
  const repeats: boolean[] = [false]; // by depth of groups: has something inside repeated?
  let last = false; // whether the element just read had a repetition inside
  let inClass = false;
  for (let at = 0; at < source.length; at++) {
    const character = source[at];
    if (character === "\\") {
      at++;
      last = false;
    } else if (inClass) {
      if (character === "]") inClass = false;
      last = false;
    } else if (character === "[") inClass = true;
    else if (character === "(") repeats.push(false);
    else if (character === ")") {
      last = repeats.length > 1 && repeats.pop() === true;
      if (last) repeats[repeats.length - 1] = true;
    } else if (isUnbounded(source, at)) {
      if (last)
        return `"${source.slice(Math.max(0, at - 12), at + 1)}" repeats what repeats, which can take exponential time`;
      repeats[repeats.length - 1] = true;
    } else last = false;
  }
  return null;
}

/** Whether a quantifier without an upper bound stands here: * + {3,}. */
function isUnbounded(source: string, at: number): boolean {
  const character = source[at];
  return character === "*" || character === "+" || (character === "{" && /^\{\d+,\}/.test(source.slice(at, at + 12)));
}

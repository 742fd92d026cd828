// How durations, sizes and shares are written: "1h30m", "16KiB", "20%". One grammar for configuration, flags and output,
// and it reads both ways: parse(format(n)) is n. A bare number is never accepted, because nobody agrees on its unit.

/** A text that was not understood: why, and what to write instead. Sentences without a capital and a full stop. */
export interface Misread {
  readonly reason: string;
  readonly hint: string;
}

/** What a parser of this file returns: a number, or why there is none. */
export type Reading = number | Misread;

const durationUnits = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;

/** Longest duration that can be written: ten years of 365 days. Beyond that it is a slip of the hand. */
const longestDuration = 3650 * 86_400_000;

const durationExamples = "write a number and a unit: 250ms, 30s, 1h30m, 2d";

/** Milliseconds of "30s", "1h30m", "250ms", "2d", "1.5s". Units fall from left to right, each at most once. */
export function parseDuration(text: string): Reading {
  if (/^\d+(\.\d+)?$/.test(text)) return { reason: "it has no unit", hint: `write ${text}s or ${text}ms` };
  if (!/^(\d+(\.\d+)?[a-zA-Z]+)+$/.test(text))
    return { reason: "it is not a number with a unit", hint: durationExamples };
  let total = 0;
  let next = 0;
  for (const [, digits, name] of text.matchAll(/(\d+(?:\.\d+)?)([a-zA-Z]+)/g)) {
    const at = durationUnits.findIndex(([unit]) => unit === name);
    const unit = durationUnits[at];
    if (unit === undefined) return { reason: `there is no unit "${name}"`, hint: "the units are ms, s, m, h and d" };
    if (at < next)
      return { reason: `"${name}" stands in the wrong place`, hint: "write the larger unit first, each once: 1h30m" };
    next = at + 1;
    total += Number(digits) * unit[1];
  }
  // 1.1 * 60000 is 66000.00000000001: what is within a millionth of a millisecond is meant to be whole.
  const whole = Math.round(total);
  if (Math.abs(total - whole) > 1e-6)
    return { reason: "it is finer than a millisecond", hint: "the smallest duration is 1ms" };
  if (whole > longestDuration) return { reason: "it is longer than ten years", hint: durationExamples };
  return whole;
}

/** "1h30m" of 5,400,000: whole non-negative milliseconds in the fewest units. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  let rest = ms;
  let text = "";
  for (const [unit, size] of durationUnits) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}

const sizeUnits = [
  ["B", 1],
  ["KB", 1e3],
  ["KiB", 1024],
  ["MB", 1e6],
  ["MiB", 1024 ** 2],
  ["GB", 1e9],
  ["GiB", 1024 ** 3],
  ["TB", 1e12],
  ["TiB", 1024 ** 4],
] as const;

/** Largest size first, so that formatting finds the shortest whole number. */
const sizesDown = [...sizeUnits].sort((a, b) => b[1] - a[1]);

const sizeExamples = "write a number and a unit: 512B, 16KiB, 1MB";

/** Bytes of "16KiB" (16384), "1MB" (1000000), "512B", "1.5KiB". */
export function parseSize(text: string): Reading {
  if (/^\d+$/.test(text)) return { reason: "it has no unit", hint: `write ${text}B or ${text}KiB` };
  const [, digits, name] = /^(\d+(?:\.\d+)?)([a-zA-Z]+)$/.exec(text) ?? [];
  if (digits === undefined || name === undefined)
    return { reason: "it is not a number with a unit", hint: sizeExamples };
  const unit = sizeUnits.find(([known]) => known === name);
  if (unit === undefined) {
    const letter = name[0]?.toUpperCase() ?? "";
    if (/^[kmgt](i?b)?$/i.test(name)) {
      return {
        reason: `there is no unit "${name}"`,
        hint: `write ${digits}${letter}iB (1024 based) or ${digits}${letter}B (1000 based)`,
      };
    }
    return { reason: `there is no unit "${name}"`, hint: "the units are B, KB, MB, GB, TB and KiB, MiB, GiB, TiB" };
  }
  const bytes = Number(digits) * unit[1];
  const whole = Math.round(bytes);
  if (Math.abs(bytes - whole) > 1e-6) return { reason: "it is not a whole number of bytes", hint: sizeExamples };
  if (whole > Number.MAX_SAFE_INTEGER) return { reason: "it is too large", hint: sizeExamples };
  return whole;
}

/** "16KiB" of 16384: whole non-negative bytes in the largest unit that divides them. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return "0B";
  const [unit, size] = sizesDown.find(([, each]) => bytes % each === 0) ?? ["B", 1];
  return `${bytes / size}${unit}`;
}

/** A share from 0 to 1 of "20%", "12.5%", "0%". */
export function parseShare(text: string): Reading {
  const [, digits, sign] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
  if (digits === undefined) return { reason: "it is not a percentage", hint: "write 20% or 12.5%" };
  const count = Number(digits);
  if (sign === "") {
    return { reason: "it has no percent sign", hint: `write ${count > 0 && count < 1 ? shareDigits(count) : digits}%` };
  }
  if (count > 100) return { reason: "it is more than 100%", hint: "write a share from 0% to 100%" };
  return count / 100;
}

/** "20%" of 0.2, with at most six digits after the point. */
export function formatShare(share: number): string {
  return `${shareDigits(share)}%`;
}

function shareDigits(share: number): string {
  return String(Number((share * 100).toFixed(6)));
}

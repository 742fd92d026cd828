// IP addresses in the one spelling that logs, hashes and comparisons may rely on.

/** Four bytes at `at` as text. */
export function formatIpv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** Sixteen bytes at `at` as text: RFC 5952 (lower case, the longest run of zeros as "::"), IPv4-mapped ones as IPv4. */
export function formatIpAddress(bytes: Uint8Array, at: number): string {
  if (isMapped(bytes, at)) return formatIpv4(bytes, at + 12);
  let longest = 0;
  let longestAt = -1;
  for (let group = 0; group < 8; group++) {
    let run = 0;
    while (group + run < 8 && groupOf(bytes, at, group + run) === 0) run++;
    if (run > longest) {
      longest = run;
      longestAt = group;
    }
  }
  // §4.2.2: one group of zeros is written out.
  if (longest < 2) longestAt = -1;
  let text = "";
  for (let group = 0; group < 8; group++) {
    if (group === longestAt) {
      text += "::";
      group += longest - 1;
      continue;
    }
    if (text !== "" && !text.endsWith(":")) text += ":";
    text += groupOf(bytes, at, group).toString(16);
  }
  return text;
}

function groupOf(bytes: Uint8Array, at: number, group: number): number {
  return (bytes[at + group * 2]! << 8) | bytes[at + group * 2 + 1]!;
}

function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

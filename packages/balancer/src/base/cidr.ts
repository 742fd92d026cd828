// IP addresses as text and sets of address ranges: who is trusted, who is routed where. IPv4-mapped IPv6 addresses are
// IPv4 here, because a dual-stack socket reports IPv4 clients that way.
import { isIpv4Mapped, parseIpAddress, parseIpv4 } from "@plimsoll/wire/ip-address";

/** A range of addresses. An IPv4 range is never part of an IPv6 one: "::/0" holds no IPv4 client, as in every firewall. */
export interface Cidr {
  readonly family: 4 | 6;
  /** 16 bytes, IPv4 as ::ffff:a.b.c.d; bits beyond `bits` are zero. */
  readonly bytes: Uint8Array;
  /** Leading bits that count, of 128: "10.0.0.0/8" has 104. */
  readonly bits: number;
}

/** "10.0.0.0/8", "2001:db8::/32", or one address. Bits set beyond the prefix are ignored. null if it is none of these. */
export function parseCidr(text: string): Cidr | null {
  const cut = text.indexOf("/");
  const name = cut < 0 ? text : text.slice(0, cut);
  if (name.includes("%")) return null; // a zone means something on one link only
  const bytes = parseIpAddress(name);
  if (bytes === null) return null;
  const dotted = !name.includes(":");
  let bits = 128;
  if (cut >= 0) {
    const digits = text.slice(cut + 1);
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(digits)) return null;
    const written = Number(digits);
    if (written > (dotted ? 32 : 128)) return null;
    bits = dotted ? written + 96 : written;
  }
  for (let bit = bits; bit < 128; bit++) bytes[bit >> 3]! &= ~(0x80 >> (bit & 7));
  return { family: bits >= 96 && isIpv4Mapped(bytes) ? 4 : 6, bytes, bits };
}

/** Many ranges, asked often: a binary search over ranges that contain no other. The last answer is kept. */
export class CidrSet {
  /** IPv4 ranges, sorted: the lowest address, and how many there are in the range. */
  readonly #starts4: Float64Array;
  readonly #sizes4: Float64Array;
  readonly #ranges6: readonly Cidr[];
  #lastText = "";
  #lastAnswer = false;

  constructor(list: readonly Cidr[]) {
    const four = outermost(list.filter((c) => c.family === 4));
    this.#starts4 = Float64Array.from(four, (c) => take4(c.bytes, 12));
    this.#sizes4 = Float64Array.from(four, (c) => 2 ** (128 - c.bits));
    this.#ranges6 = outermost(list.filter((c) => c.family === 6));
  }

  /** Whether the address lies in one of the ranges; false for what is not an address. */
  contains(addressText: string): boolean {
    if (addressText === this.#lastText) return this.#lastAnswer;
    const answer = this.#look(addressText);
    this.#lastText = addressText;
    this.#lastAnswer = answer;
    return answer;
  }

  #look(text: string): boolean {
    const value = parseIpv4(text, 0, text.length);
    if (value >= 0) return this.#has4(value);
    const bytes = text.includes(":") ? parseIpAddress(text) : null;
    if (bytes === null) return false;
    return isIpv4Mapped(bytes) ? this.#has4(take4(bytes, 12)) : this.#has6(bytes);
  }

  #has4(value: number): boolean {
    const starts = this.#starts4;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= value) low = middle + 1;
      else high = middle;
    }
    return low > 0 && value - starts[low - 1]! < this.#sizes4[low - 1]!;
  }

  #has6(bytes: Uint8Array): boolean {
    const ranges = this.#ranges6;
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order(ranges[middle]!.bytes, bytes) <= 0) low = middle + 1;
      else high = middle;
    }
    return low > 0 && covers(ranges[low - 1]!, bytes);
  }
}

/** Whether two ranges have an address in common; ranges are nested or apart, never half in each other. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  if (a.family !== b.family) return false;
  return a.bits <= b.bits ? covers(a, b.bytes) : covers(b, a.bytes);
}

/** Sorted, without those that lie in another. */
function outermost(list: readonly Cidr[]): Cidr[] {
  const sorted = [...list].sort((a, b) => order(a.bytes, b.bytes) || a.bits - b.bits);
  const kept: Cidr[] = [];
  for (const range of sorted) {
    const last = kept.at(-1);
    if (last === undefined || !covers(last, range.bytes)) kept.push(range);
  }
  return kept;
}

function covers(range: Cidr, bytes: Uint8Array): boolean {
  const whole = range.bits >> 3;
  for (let i = 0; i < whole; i++) if (range.bytes[i] !== bytes[i]) return false;
  const rest = range.bits & 7;
  return rest === 0 || ((range.bytes[whole]! ^ bytes[whole]!) & (0xff00 >> rest) & 0xff) === 0;
}

function order(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 16; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

function take4(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x1000000 + bytes[at + 1]! * 0x10000 + bytes[at + 2]! * 0x100 + bytes[at + 3]!;
}

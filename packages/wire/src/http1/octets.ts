// Classes of bytes as lookup tables, and the few comparisons made with them.

export const HTAB = 9;
export const LF = 10;
export const CR = 13;
export const SP = 32;
export const COMMA = 44;
export const COLON = 58;
export const SEMICOLON = 59;
export const EQUALS = 61;
export const QUESTION = 63;

/** Bit that `nameTable` carries for "_", so that one OR per byte tells afterwards whether a name had one. */
export const underscoreBit = 0x100;

function each(characters: string, put: (code: number) => void): void {
  for (let i = 0; i < characters.length; i++) put(characters.charCodeAt(i));
}

const digits = "0123456789";
const letters = "abcdefghijklmnopqrstuvwxyz";

/**
 * For a byte of a token (RFC 9110 §5.6.2) its lower-case form, for any other 0. "_" carries `underscoreBit` as well.
 * Uint16 rather than Uint8 for that bit.
 */
export const nameTable = new Uint16Array(256);
each("!#$%&'*+-.^`|~" + digits + letters, (code) => (nameTable[code] = code));
each(letters, (code) => (nameTable[code - 32] = code));
nameTable[0x5f] = 0x5f | underscoreBit;

/** 1 for a byte that may stand in a field value or reason phrase: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5). */
export const valueTable = new Uint8Array(256);
valueTable.fill(1, 0x20, 0x7f).fill(1, 0x80);
valueTable[HTAB] = 1;

/**
 * 1 for a byte that may stand in a request target, 2 for "?". All visible ASCII but "#": browsers send `|`, `^`, `{`, `"`
 * and others that RFC 3986 wants encoded, and none of them can be read as the end of anything.
 */
export const targetTable = new Uint8Array(256);
targetTable.fill(1, 0x21, 0x7f);
targetTable[0x23] = 0;
targetTable[QUESTION] = 2;

/** 1 for a byte of a reg-name that needs no further look: unreserved and sub-delims (RFC 3986 §3.2.2). */
export const regNameTable = new Uint8Array(256);
each("-._~!$&'()*+,;=" + digits + letters + letters.toUpperCase(), (code) => (regNameTable[code] = 1));

/** The value of a hexadecimal digit, 255 for any other byte. */
export const hexTable = new Uint8Array(256).fill(255);
each(digits, (code) => (hexTable[code] = code - 48));
each("abcdef", (code) => (hexTable[code] = hexTable[code - 32] = code - 87));

/** 1 for a byte that is an error wherever it stands in a head: controls but HTAB, CR, LF, and DEL; 2 for LF. */
const alarmTable = new Uint8Array(256);
alarmTable.fill(1, 0, 0x20);
alarmTable[HTAB] = 0;
alarmTable[CR] = 0;
alarmTable[LF] = 2;
alarmTable[0x7f] = 1;

/**
 * Whether the new bytes [from, to) make another parse of the head so far worthwhile: they hold a line end, or a byte that is
 * an error anywhere. A client that trickles its head byte by byte then costs one scan of each byte and one parse per
 * line, not one parse per byte. The caller parses again also when the head so far has reached `limits.headBytes`.
 */
export function mayComplete(bytes: Uint8Array, from: number, to: number): boolean {
  for (let p = from; p < to; p++) {
    if (alarmTable[bytes[p]!] !== 0) return true;
  }
  return false;
}

/** Whether bytes [from, to) are the given lower-case name, whatever their case. */
export function sameName(bytes: Uint8Array, from: number, to: number, lowerName: Uint8Array): boolean {
  const length = to - from;
  if (length !== lowerName.length) return false;
  for (let i = 0; i < length; i++) {
    if ((nameTable[bytes[from + i]!]! & 0xff) !== lowerName[i]) return false;
  }
  return true;
}

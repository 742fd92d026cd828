// DER (X.690) as far as certificates and revocation lists must be looked into, where the runtime reads neither. Lengths are
// checked against what is there; nothing is thrown.

/** One element. */
export interface DerElement {
  /** Its identifier octet: 0x30 is a SEQUENCE. */
  readonly tag: number;
  readonly content: Uint8Array;
}

export const DerTag = { integer: 0x02, oid: 0x06, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30 } as const;

/** The elements that stand one after the other in `bytes`; null if these are no whole elements. */
export function readDer(bytes: Uint8Array): readonly DerElement[] | null {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] as number;
    let length = bytes[at + 1] ?? -1;
    at += 2;
    // Tags of several bytes do not occur in what is read here; 0x80 is BER's length that is told by an end mark.
    if ((tag & 0x1f) === 0x1f || length < 0 || length === 0x80) return null;
    if (length > 0x80) {
      const count = length - 0x80;
      if (count > 4 || at + count > bytes.length) return null;
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + (bytes[at + index] as number);
      at += count;
    }
    if (at + length > bytes.length) return null;
    elements.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return elements;
}

/** The elements within the one SEQUENCE that `bytes` begin with; null if they do not. */
export function readSequence(bytes: Uint8Array): readonly DerElement[] | null {
  const outer = readDer(bytes)?.[0];
  return outer?.tag === DerTag.sequence ? readDer(outer.content) : null;
}

/** A time (RFC 5280 §4.1.2.5) in wall-clock ms; NaN for what is none. */
export function derTime({ tag, content }: DerElement): number {
  const text = Buffer.from(content).toString("latin1");
  const [, year = "", rest = ""] =
    (tag === DerTag.utcTime ? /^(\d\d)(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/).exec(text) ?? [];
  if (rest === "" || (tag !== DerTag.utcTime && tag !== DerTag.generalizedTime)) return Number.NaN;
  const whole = tag === DerTag.generalizedTime ? year : `${Number(year) < 50 ? "20" : "19"}${year}`;
  const [month, day, hour, minute, second] = rest.match(/\d\d/g) ?? [];
  return Date.parse(`${whole}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

const attributes: Readonly<Record<string, string>> = {
  "550403": "CN",
  "550406": "C",
  "550407": "L",
  "550408": "ST",
  "55040a": "O",
  "55040b": "OU",
};

/** A distinguished name for people and to compare: "CN=Root, O=Example". Attributes of other kinds by their OID in hex. */
export function derName(content: Uint8Array): string {
  const pairs = (readDer(content) ?? []).flatMap((set) => readDer(set.content) ?? []);
  return pairs
    .map((pair) => {
      const [kind, value] = readDer(pair.content) ?? [];
      const oid = Buffer.from(kind?.content ?? []).toString("hex");
      return `${attributes[oid] ?? oid}=${Buffer.from(value?.content ?? []).toString("utf8")}`;
    })
    .join(", ");
}

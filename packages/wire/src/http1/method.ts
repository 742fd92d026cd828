// Methods that the engine treats apart. Any token is a method; the rest are `other`.

/** Ids of methods. */
export const Method = {
  other: 0,
  get: 1,
  head: 2,
  post: 3,
  put: 4,
  delete: 5,
  options: 6,
  patch: 7,
  connect: 8,
  trace: 9,
} as const;

const methods: readonly (readonly [number, string])[] = [
  [Method.get, "GET"],
  [Method.post, "POST"],
  [Method.head, "HEAD"],
  [Method.put, "PUT"],
  [Method.delete, "DELETE"],
  [Method.options, "OPTIONS"],
  [Method.patch, "PATCH"],
  [Method.connect, "CONNECT"],
  [Method.trace, "TRACE"],
];

const spellings = methods.map(([, name]) => new TextEncoder().encode(name));

/** The id of the method at [from, to). Methods are case-sensitive: "get" is `other`. */
export function readMethod(bytes: Uint8Array, from: number, to: number): number {
  if (to - from === 3 && bytes[from] === 0x47 && bytes[from + 1] === 0x45 && bytes[from + 2] === 0x54)
    return Method.get;
  for (let m = 1; m < spellings.length; m++) {
    const spelling = spellings[m]!;
    if (spelling.length !== to - from || spelling[0] !== bytes[from]) continue;
    let i = 1;
    while (i < spelling.length && spelling[i] === bytes[from + i]) i++;
    if (i === spelling.length) return methods[m]![0];
  }
  return Method.other;
}

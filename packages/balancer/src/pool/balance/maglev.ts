// Maglev (Eisenbud et al., NSDI 2016, §3.4): each endpoint has its own permutation of a table's places, and they take turns
// at claiming their next free one. One table read a pick; shares are even to a percent; when an endpoint leaves, little
// moves besides its own keys. It knows no load: what is full is passed over by the pool.
import { hashString, mix } from "../../base/hash.ts";
import type { Algorithm } from "./algorithm.ts";
import { turns } from "./turns.ts";

/** A prime, so that every step width visits every place; the paper's small table, good for several hundred endpoints. */
const places = 65_537;

export const maglev: Algorithm = {
  name: "maglev",
  how: "by the hash of the key, in a table",
  needsKey: true,
  build(usable) {
    const table = buildTable(usable);
    return (key) => usable[table[mix(key) % places]!]!;
  },
};

function buildTable(usable: readonly { readonly id: string; readonly weight: number }[]): Int32Array {
  // The order of turns must not depend on the order in the file: sorted by hash, then by name.
  const entries = usable
    .map(({ id, weight }, index) => ({ id, weight, index, hash: hashString(id) }))
    .sort((a, b) => a.hash - b.hash || (a.id < b.id ? -1 : 1));
  const position = Int32Array.from(entries, ({ hash }) => hash % places);
  const step = Int32Array.from(entries, ({ id }) => (hashString(id, 1) % (places - 1)) + 1);
  const next = turns(entries, () => 1);

  const table = new Int32Array(places).fill(-1);
  for (let filled = 0; filled < places; filled++) {
    const turn = next();
    let place = position[turn]!;
    const width = step[turn]!;
    while (table[place] !== -1) {
      place += width;
      if (place >= places) place -= places;
    }
    table[place] = entries[turn]!.index;
    position[turn] = place;
  }
  return table;
}

// Round robin in turns as even as weights allow. Equal weights: a cursor. Otherwise earliest deadline first: each endpoint
// is due again 1/weight after its last turn, and a binary heap finds the next one in log n steps, for any weights, without
// the table that smooth weighted round robin would need for a thousand coprime ones. Where to start is drawn, because N
// workers (and every reload) would otherwise all begin with the first endpoint.
import type { Random } from "../../base/random.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Algorithm, Picker } from "./algorithm.ts";

export const roundRobin: Algorithm = {
  name: "roundRobin",
  needsKey: false,
  build(usable, random) {
    const weight = usable[0]!.weight;
    return usable.every((endpoint) => endpoint.weight === weight) ? inTurn(usable, random) : byDeadline(usable, random);
  },
};

function inTurn(usable: readonly Endpoint[], random: Random): Picker {
  let at = Math.floor(random() * usable.length);
  return () => {
    const endpoint = usable[at]!;
    at = at + 1 === usable.length ? 0 : at + 1;
    return endpoint;
  };
}

function byDeadline(usable: readonly Endpoint[], random: Random): Picker {
  const size = usable.length;
  const step = Float64Array.from(usable, (endpoint) => 1 / endpoint.weight);
  // The phase within the first turn is drawn for each: sharing one would bring all of them up together.
  const due = step.map((period) => period * random());
  const heap = Uint32Array.from(due, (_, index) => index).sort((a, b) => due[a]! - due[b]!);

  return () => {
    const top = heap[0]!;
    const next = due[top]! + step[top]!;
    due[top] = next;
    // Sift down: the only one that changed is at the root, and it only became later.
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && due[heap[child + 1]!]! < due[heap[child]!]!) child++;
      if (due[heap[child]!]! >= next) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = top;
    if (next > 1e9) rebase(due, next);
    return usable[top]!;
  };
}

/** Keeps deadlines small, so that fractions stay exact after billions of turns. */
function rebase(due: Float64Array, by: number): void {
  for (let i = 0; i < due.length; i++) due[i]! -= by;
}

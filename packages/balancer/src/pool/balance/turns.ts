// Taking turns by weight, as evenly as weights allow: earliest deadline first. Each entry is due again 1/weight after its
// last turn, and a binary heap finds the next one in log n steps for any weights, without the table of one line per turn
// that smooth weighted round robin needs when a thousand weights are coprime.

/**
 * A function that gives the index of whose turn it is. `phase` (0 to 1) says how far into its first period each entry
 * is due for the first time. Entries that are due together go by index, so the order depends on nothing else.
 */
export function turns(
  weighted: readonly { readonly weight: number }[],
  phase: (index: number) => number,
): () => number {
  const size = weighted.length;
  const period = Float64Array.from(weighted, ({ weight }) => 1 / weight);
  const due = period.map((length, index) => length * phase(index));
  const before = (a: number, b: number) => due[a]! < due[b]! || (due[a] === due[b] && a < b);
  const heap = Uint32Array.from(due, (_, index) => index).sort((a, b) => (before(a, b) ? -1 : 1));

  return () => {
    const top = heap[0]!;
    due[top]! += period[top]!;
    // Sift down: only the root changed, and it only became later.
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, top)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = top;
    if (due[top]! > 1e6) rebase(due, due[heap[0]!]!);
    return top;
  };
}

/** Keeps deadlines small, so that fractions stay exact after billions of turns. */
function rebase(due: Float64Array, by: number): void {
  for (let i = 0; i < due.length; i++) due[i]! -= by;
}

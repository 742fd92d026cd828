// tests/simulation/: the parts of a balancer that think (rotation, budget, outliers, slow start, drains, learning) with many
// workers and endpoints on virtual time. What happens comes from a seed, so that whatever goes wrong can be watched again.
// Must not know sockets, processes or real clocks.

interface Item {
  readonly at: number;
  /** What is due at the same moment happens in the order in which it was noted. */
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time, and what is due when: a heap, because a run notes tens of thousands of things. All times in ms. */
export class Agenda {
  now: number;
  readonly #heap: Item[] = [];
  #order = 0;

  constructor(now: number) {
    this.now = now;
  }

  readonly after = (ms: number, run: () => void): (() => void) => {
    let wanted = true;
    this.#push({ at: this.now + Math.max(0, ms), order: this.#order++, run: () => wanted && run() });
    return () => {
      wanted = false;
    };
  };

  readonly every = (ms: number, run: () => void): (() => void) => {
    let cancel = () => {};
    const again = () => {
      cancel = this.after(ms, () => {
        again();
        run();
      });
    };
    again();
    return () => cancel();
  };

  /** Does what is due next, at its moment; false when that is later than `until` or never. */
  next(until: number): boolean {
    const first = this.#heap[0];
    if (first === undefined || first.at > until) return false;
    this.#pop();
    this.now = first.at;
    first.run();
    return true;
  }

  #push(item: Item): void {
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(item, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Item, b: Item): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

// "Did you mean": the nearest of some known words to one that is not known.

/**
 * Edit distance in which swapped neighbours count as one slip (optimal string alignment), because that is what fingers
 * do. Stops early: anything above `limit` is `limit + 1`.
 */
export function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      row.push(cost);
      least = Math.min(least, cost);
    }
    if (least > limit) return limit + 1;
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? limit + 1;
}

/**
 * The known word that was probably meant, or undefined. Case and "-" or "_" do not count: `max-body-bytes` is
 * `maxBodyBytes`. A third of the letters may be wrong, four at most.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = fold(word);
  const limit = Math.min(4, Math.max(1, Math.floor(plain.length / 3)));
  let best: string | undefined;
  let least = limit + 1;
  for (const candidate of known) {
    const far = distance(plain, fold(candidate), limit);
    if (far < least) {
      least = far;
      best = candidate;
    }
  }
  return best;
}

function fold(word: string): string {
  return word.slice(0, 64).toLowerCase().replace(/[-_]/g, "");
}

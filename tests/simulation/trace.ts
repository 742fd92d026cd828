// What happened in a run, for whoever has to understand it: the last lines are kept, an invariant that breaks ends the run.

/** How many lines are kept; a run has thousands, and what went wrong is near the end. */
const kept = 400;

/** What must always hold did not. */
export class Broken extends Error {
  override readonly name = "Broken";
}

export class Trace {
  readonly lines: string[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  note(line: string): void {
    this.lines.push(`${(this.#now() / 1000).toFixed(3).padStart(9)} s  ${line}`);
    if (this.lines.length > 2 * kept) this.lines.splice(0, kept);
  }

  /** Ends the run unless `holds`. */
  must(holds: boolean, what: () => string): void {
    if (!holds) throw new Broken(what());
  }
}

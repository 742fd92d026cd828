// Where each key and value stands in the text, so that a problem found in the value can point into the file.
import { formatPath, type Path, type Problem, type Finding } from "./problem.ts";

/** Offsets into the text. */
interface Place {
  readonly key: number;
  readonly value: number;
  /** A single value: what the schema finds below it (`methods: GET` is `methods: [GET]`) stands here, too. */
  readonly leaf: boolean;
}

/** A value that came out of the environment: what stood in the file. Its own text must not be shown. */
export interface Substitution {
  /** As written: "${PORT:-3000}". */
  readonly written: string;
  /** The texts that were put in. */
  readonly values: readonly string[];
}

/** The map from paths to places of one text. Lives as long as the check of that text. */
export class Places {
  readonly file: string;
  readonly #places = new Map<string, Place>();
  readonly #substitutions = new Map<string, Substitution>();
  readonly #substitutedPaths: Path[] = [];
  readonly #lineStarts: readonly number[];

  /** `text` null: the configuration is a module, which has paths only. */
  constructor(file: string, text: string | null) {
    this.file = file;
    this.#lineStarts = text === null ? [] : findLines(text);
  }

  add(path: Path, key: number, value: number, leaf: boolean): void {
    this.#places.set(formatPath(path), { key, value, leaf });
  }

  substituted(path: Path, substitution: Substitution): void {
    this.#substitutions.set(formatPath(path), substitution);
    this.#substitutedPaths.push(path);
  }

  /** Every value that came from the environment, by its path. */
  substitutions(): Iterable<Path> {
    return this.#substitutedPaths;
  }

  substitution(path: Path): Substitution | undefined {
    return this.#substitutions.get(formatPath(path));
  }

  /** Line and column, both from 1; zeros if there is no text. */
  at(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.#lineStarts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return { line: 0, column: 0 };
    return { line: low, column: offset - (this.#lineStarts[low - 1] ?? 0) + 1 };
  }

  /** Where the key of a path stands; line 0 if there is no text. */
  of(path: Path): { file: string; line: number } {
    const place = this.#places.get(formatPath(path));
    return { file: this.file, line: place === undefined ? 0 : this.at(place.key).line };
  }

  /** Gives a finding its place: that of its path, or of the nearest ancestor which stands in the text. */
  problem(finding: Finding): Problem {
    let path = formatPath(finding.path);
    let place = this.#places.get(path);
    let missing = false;
    for (let length = finding.path.length - 1; place === undefined && length >= 0; length--) {
      const ancestor = formatPath(finding.path.slice(0, length));
      place = this.#places.get(ancestor);
      if (place?.leaf === true) path = ancestor;
      else missing = true;
    }
    // What is missing is reported at the key that lacks it.
    const offset = place === undefined ? 0 : finding.atKey === true || missing ? place.key : place.value;
    const { line, column } = this.at(offset);
    return {
      severity: finding.severity,
      file: this.file,
      line,
      column,
      path,
      message: this.#redact(finding.message.replace("{other}", () => this.#name(finding.other ?? []))),
      ...(finding.why === undefined ? {} : { why: finding.why }),
      ...(finding.hint === undefined ? {} : { hint: this.#redact(finding.hint) }),
      ...(finding.mends === undefined ? {} : { mends: finding.mends }),
    };
  }

  /** "pools.api.endpoints[0] (line 12)". */
  #name(path: Path): string {
    const text = formatPath(path);
    const place = this.#places.get(text);
    const line = place === undefined ? 0 : this.at(place.key).line;
    return line === 0 ? text : `${text} (line ${line})`;
  }

  /** What came from the environment may be a secret: a message shows the `${NAME}` in its stead. */
  #redact(message: string): string {
    let text = message;
    for (const { written, values } of this.#substitutions.values()) {
      // Short values ("3000", "api") are no secrets, and would be cut out of innocent words.
      for (const value of values) if (value.length >= 6) text = text.replaceAll(value, written);
    }
    return text;
  }
}

function findLines(text: string): number[] {
  const starts = [0];
  for (const match of text.matchAll(/\r\n|\r|\n/g)) starts.push(match.index + match[0].length);
  return starts;
}

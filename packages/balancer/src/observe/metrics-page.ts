// The Prometheus text format 0.0.4: families, written whole, as the format demands, with their samples.

export type Labels = readonly (readonly [string, string])[];
export type Type = "counter" | "gauge" | "histogram";

/** Something that samples are of: a listener, a pool, an endpoint. */
interface Labelled {
  readonly labels: Labels;
}

/** The page being written. */
export class MetricsPage {
  text = "";

  /** Begins a family; its samples follow. */
  family(name: string, type: Type, help: string): void {
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  sample(name: string, labels: Labels, value: number): void {
    this.text += `${name}${labels.length === 0 ? "" : `{${labels.map(label).join(",")}}`} ${number(value)}\n`;
  }

  /** A family of one sample. */
  single(name: string, type: Type, help: string, value: number, labels: Labels = []): void {
    this.family(name, type, help);
    this.sample(name, labels, value);
  }

  /** A family with one sample for each of `all`. */
  each<T extends Labelled>(name: string, type: Type, help: string, all: readonly T[], value: (one: T) => number): void {
    this.family(name, type, help);
    for (const one of all) this.sample(name, one.labels, value(one));
  }

  /** A family with several samples for each of `all`, told apart by further labels. */
  split<T extends Labelled>(
    name: string,
    type: Type,
    help: string,
    all: readonly T[],
    parts: (one: T) => readonly (readonly [Labels, number])[],
  ): void {
    this.family(name, type, help);
    for (const one of all) for (const [more, value] of parts(one)) this.sample(name, [...one.labels, ...more], value);
  }
}

function label([name, value]: readonly [string, string]): string {
  return `${name}="${value.replace(/[\\"\n]/g, (found) => (found === "\n" ? "\\n" : `\\${found}`))}"`;
}

function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}

// What is left of a value after its wrong parts were taken out, and where each part of it stood before.
import { formatPath, type Path } from "./problem.ts";

/** A value that only ever gets smaller. The value it was made from is not changed. */
export class Remainder {
  #value: unknown;
  /** For each list that lost items: where those that are left stood at first. */
  readonly #origins = new WeakMap<readonly unknown[], readonly number[]>();

  constructor(value: unknown) {
    this.#value = value;
  }

  get value(): unknown {
    return this.#value;
  }

  /**
   * What stands at a path of the remainder. What was written short (`methods: GET`, `- 127.0.0.1:3000`) stands at the
   * paths of its long form, too.
   */
  at(path: Path): unknown {
    let current = this.#value;
    for (const part of path) {
      if (current !== null && current !== undefined && typeof current !== "object") return current;
      if (part === 0 && !Array.isArray(current)) continue;
      if (typeof current !== "object" || current === null || !Object.hasOwn(current, part)) return undefined;
      current = (current as Record<string | number, unknown>)[part];
    }
    return current;
  }

  /** Where something at a path of the remainder stood in the whole value. */
  original(path: Path): Path {
    const out: (string | number)[] = [];
    let current = this.#value;
    for (const part of path) {
      const origins = Array.isArray(current) ? this.#origins.get(current) : undefined;
      out.push(typeof part === "number" ? (origins?.[part] ?? part) : part);
      current =
        typeof current === "object" && current !== null
          ? (current as Record<string | number, unknown>)[part]
          : undefined;
    }
    return out;
  }

  /**
   * Takes out what stands at the paths, or, where nothing does, the map or list that should have held it. Returns the
   * original paths of what was taken out; [] among them means that nothing is left.
   */
  remove(paths: readonly Path[]): Path[] {
    const holes = new Map<string, Path>();
    for (const path of paths) {
      const hole = this.#existing(path);
      holes.set(formatPath(hole), hole);
    }
    // The last item first, and parts before their wholes: so no removal moves what another one means.
    const ordered = [...holes.values()].sort(fromTheEnd);
    const removed = ordered.map((hole) => this.original(hole));
    for (const hole of ordered) this.#value = this.#without(this.#value, hole);
    return removed;
  }

  /** Puts something at a path whose parent exists. Returns the original path. */
  replace(path: Path, value: unknown): Path {
    this.#value = this.#with(this.#value, path, value);
    return this.original(path);
  }

  #with(value: unknown, path: Path, inner: unknown): unknown {
    const [part, ...rest] = path;
    if (part === undefined) return inner;
    const current = value as Record<string | number, unknown>;
    return { ...current, [part]: this.#with(current[part], rest, inner) };
  }

  #existing(path: Path): Path {
    let current = this.#value;
    for (const [index, part] of path.entries()) {
      if (typeof current !== "object" || current === null || !Object.hasOwn(current, part)) return path.slice(0, index);
      current = (current as Record<string | number, unknown>)[part];
    }
    return path;
  }

  #without(value: unknown, path: Path): unknown {
    const [part, ...rest] = path;
    if (part === undefined) return undefined;
    if (Array.isArray(value)) {
      const at = Number(part);
      const origins = this.#origins.get(value) ?? value.map((_, index) => index);
      const copy = rest.length === 0 ? value.toSpliced(at, 1) : value.with(at, this.#without(value[at], rest));
      this.#origins.set(copy, rest.length === 0 ? origins.toSpliced(at, 1) : origins);
      return copy;
    }
    const { [part]: inner, ...others } = value as Record<string | number, unknown>;
    return rest.length === 0 ? others : { ...(value as object), [part]: this.#without(inner, rest) };
  }
}

function fromTheEnd(a: Path, b: Path): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const [left, right] = [a[index], b[index]];
    if (left === right) continue;
    if (left === undefined) return 1;
    if (right === undefined) return -1;
    if (typeof left === "number" && typeof right === "number") return right - left;
    return String(left) < String(right) ? -1 : 1;
  }
  return 0;
}

// Why a configuration written in TypeScript gave no value, and where: what the parser says of its place, or the innermost
// line of the module that was being run when it threw.

/** One reason. Plain data: it crosses from the process in which the module ran. */
export interface ModuleFailure {
  readonly why: string;
  /** The file that is meant: the configuration, or something that it imports. "" = not known. */
  readonly file: string;
  /** From 1; 0 = not known. */
  readonly line: number;
  /** From 1; 0 like `line`. */
  readonly column: number;
}

/** A reason without a place. */
export function unplaced(why: string): ModuleFailure {
  return { why, file: "", line: 0, column: 0 };
}

/** What importing or running `file`, absolute, has thrown. Of several syntax errors the first: it mostly makes the others. */
export function moduleFailure(thrown: unknown, file: string): ModuleFailure {
  // Bun throws one BuildMessage, or an AggregateError of them.
  const cause = thrown instanceof AggregateError && thrown.errors.length > 0 ? (thrown.errors[0] as unknown) : thrown;
  const why = messageOf(cause);
  const position = positionOf(cause) ?? frameIn(file, cause);
  return position === undefined ? unplaced(why) : { why, ...position };
}

function messageOf(cause: unknown): string {
  if (typeof cause !== "object" || cause === null || !("message" in cause)) return String(cause);
  return String(cause.message);
}

type Position = Omit<ModuleFailure, "why">;

/** Where Bun's parser or resolver stopped. */
function positionOf(cause: unknown): Position | undefined {
  if (typeof cause !== "object" || cause === null || !("position" in cause)) return undefined;
  const { file = "", line = 0, column = 0 } = (cause.position ?? {}) as Partial<Position>;
  return line > 0 ? { file, line, column: Math.max(1, column) } : undefined;
}

/** The innermost call in the module itself; what it called elsewhere is not what its author can mend. */
function frameIn(file: string, cause: unknown): Position | undefined {
  if (!(cause instanceof Error) || cause.stack === undefined) return undefined;
  for (const frame of cause.stack.split("\n")) {
    const at = frame.indexOf(`${file}:`);
    const place = at < 0 ? null : /^(\d+):(\d+)/.exec(frame.slice(at + file.length + 1));
    if (place !== null) return { file, line: Number(place[1]), column: Number(place[2]) };
  }
  return undefined;
}

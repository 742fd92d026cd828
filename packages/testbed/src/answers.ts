// One answer after another from a growing pile of bytes, by the strict reader of the wire: every deviation is an Error.
// This package is what tests stand on: origins, clients, time, chance, processes. It must not know the balancer.
import { readStrictAnswers, type StrictAnswer } from "@plimsoll/wire/http1/strict-reader";

/** A final answer and the interim (1xx) ones that came before it. */
export interface Answer extends StrictAnswer {
  readonly interim: readonly StrictAnswer[];
}

/** What must be known that the bytes do not say. */
export interface AnswerContext {
  /** Method of the request; GET unless told. */
  readonly method?: string;
  /** Whether the peer has sent its FIN, which completes a body without length. */
  readonly closed?: boolean;
}

/**
 * The answer that begins at the first byte, or undefined when it is not complete yet. `answer.end` is where the next
 * one begins. Throws StrictError, which says what is wrong and where.
 */
export function firstAnswer(bytes: Uint8Array, context: AnswerContext = {}): Answer | undefined {
  const { method = "GET", closed = false } = context;
  const read = readStrictAnswers(bytes, [method], { partial: !closed, closed, onlyFirst: true });
  const final = read.at(-1);
  if (!final || (final.status < 200 && final.status !== 101)) return undefined;
  return { ...final, interim: read.slice(0, -1) };
}

/** The value of a field, or undefined; several are joined with ", ". */
export function field(message: Pick<StrictAnswer, "headers">, name: string): string | undefined {
  const wanted = name.toLowerCase();
  const found = message.headers.filter(([one]) => one.toLowerCase() === wanted).map(([, value]) => value);
  return found.length === 0 ? undefined : found.join(", ");
}

/** The body as text. */
export function textOf(message: Pick<StrictAnswer, "body">): string {
  return new TextDecoder().decode(message.body);
}

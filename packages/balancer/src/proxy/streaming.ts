// Which answers have no end of their own: a drain closes them with its window and must not wait for the longest of them.
import { type AnswerHead, Field, Framing } from "@plimsoll/wire/http1";
import { spells } from "../base/bytes.ts";

/** Types of answers that go on for as long as somebody listens. */
const streamTypes = ["text/event-stream", "multipart/x-mixed-replace", "application/grpc"] as const;

/** Whether an answer is a stream: of no announced length, and of a type that says so. */
export function isStream(bytes: Uint8Array, head: AnswerHead): boolean {
  if (head.framing !== Framing.chunked && head.framing !== Framing.untilClose) return false;
  const { fields } = head;
  for (let i = 0, k = 0; i < fields.count; i++, k += 4) {
    if (fields.ids[i] !== Field.contentType) continue;
    const from = fields.at[k + 2] as number;
    const to = fields.at[k + 3] as number;
    for (const type of streamTypes) {
      if (from + type.length > to || !spells(bytes, from, from + type.length, type)) continue;
      // "text/event-stream; charset=utf-8", "application/grpc+proto", but not "text/event-streaming".
      const next = bytes[from + type.length];
      if (from + type.length === to || next === 0x3b || next === 0x20 || next === 0x2b) return true;
    }
    return false;
  }
  return false;
}

// The request head as it goes upstream, kept until the answer begins so that another try can send it again, and behind it
// the body as far as it has to be kept for the same reason. Buffers are recycled: at 64 busy connections there are 64 of
// them, however many requests pass.
import { copyBytes, roundUp } from "../base/bytes.ts";

const usual = 4096;
/** Longest body that is kept for another try. */
export const mostKept = 64 * 1024;
/** Room for such a body behind a usual head. */
const large = mostKept + 16 * 1024;
const spare: HeadBuffer[] = [];
const mostSpare = 256;
const spareLarge: Uint8Array[] = [];
const mostSpareLarge = 16;

export class HeadBuffer {
  bytes: Uint8Array = Buffer.allocUnsafeSlow(usual);
  /** The head is bytes[0, length). */
  length = 0;
  /** The body, as it was sent, is bytes[length, length + kept). */
  kept = 0;

  /** Makes sure that `size` bytes fit from the start. What is in it is lost. */
  fit(size: number): Uint8Array {
    if (size > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(size);
    this.length = 0;
    this.kept = 0;
    return this.bytes;
  }

  /** Keeps body bytes behind the head; false, and nothing kept, when it would be more than `mostKept`. */
  keep(bytes: Uint8Array, from: number, to: number): boolean {
    const end = this.length + this.kept;
    const kept = this.kept + to - from;
    if (kept > mostKept) {
      this.kept = 0;
      return false;
    }
    const needed = this.length + kept;
    if (needed > this.bytes.length) {
      const grown =
        needed <= large ? (spareLarge.pop() ?? Buffer.allocUnsafeSlow(large)) : Buffer.allocUnsafeSlow(roundUp(needed));
      copyBytes(grown, 0, this.bytes, 0, end);
      this.bytes = grown;
    }
    copyBytes(this.bytes, end, bytes, from, to);
    this.kept = kept;
    return true;
  }
}

/** A buffer for one exchange; give it back with `releaseHead`. */
export function takeHead(): HeadBuffer {
  return spare.pop() ?? new HeadBuffer();
}

export function releaseHead(head: HeadBuffer): void {
  if (head.bytes.length === usual) {
    if (spare.length < mostSpare) spare.push(head);
  } else if (head.bytes.length === large && spareLarge.length < mostSpareLarge) spareLarge.push(head.bytes);
}

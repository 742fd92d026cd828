// The request head as it goes upstream, kept until the answer begins so that another try can send it again. Buffers are
// recycled: at 64 busy connections there are 64 of them, however many requests pass.

const usual = 4096;
const spare: HeadBuffer[] = [];
const mostSpare = 256;

export class HeadBuffer {
  bytes: Uint8Array = Buffer.allocUnsafeSlow(usual);
  length = 0;

  /** Makes sure that `size` bytes fit from the start. What is in it is lost. */
  fit(size: number): Uint8Array {
    if (size > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(size);
    this.length = 0;
    return this.bytes;
  }
}

/** A buffer for one exchange; give it back with `releaseHead`. */
export function takeHead(): HeadBuffer {
  return spare.pop() ?? new HeadBuffer();
}

export function releaseHead(head: HeadBuffer): void {
  if (spare.length < mostSpare && head.bytes.length === usual) spare.push(head);
}

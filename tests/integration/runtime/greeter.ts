// A child for listening.test.ts: accepts from the listening socket at descriptor 3 and greets with its process id.

import { dlopen } from "bun:ffi";

const descriptors = process.env["GREETER_DESCRIPTORS"];
if (descriptors !== undefined) {
  const { symbols } = dlopen("libc.so.6", { setrlimit: { args: ["i32", "buffer"], returns: "i32" } });
  symbols.setrlimit(7, new BigUint64Array([BigInt(descriptors), BigInt(descriptors)]));
}
const hold = process.env["GREETER_HOLD"] !== undefined;

Bun.listen({
  fd: 3,
  socket: {
    open(socket: { end(text: string): void }) {
      if (!hold) socket.end(`hello from ${process.pid}`);
    },
    data() {},
  },
} as never);
process.stdout.write("ready\n");

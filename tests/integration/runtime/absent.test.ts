import { describe, expect, test } from "bun:test";

// What the runtime does not have. When one of these fails there is something new to use.

describe("not there", () => {
  test("reusePort for UDP sockets (decision: one worker owns a UDP listener)", async () => {
    const options = { hostname: "127.0.0.1", port: 0, reusePort: true };
    const first = await Bun.udpSocket(options);
    try {
      // It throws at once, although it returns a promise when all is well.
      expect(() => void Bun.udpSocket({ ...options, port: first.port })).toThrow(
        expect.objectContaining({ code: "EADDRINUSE" }),
      );
    } finally {
      first.close();
    }
  });

  test("a socket to cancel before a connect by host name has come about (decision: connect by descriptor)", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    let opened = false;
    const pending = Bun.connect({
      hostname: "127.0.0.1",
      port: listener.port,
      socket: { open: () => void (opened = true), data() {} },
    });
    expect(opened).toBe(false);
    expect(pending).toBeInstanceOf(Promise);
    expect(Object.getOwnPropertyNames(Object.getPrototypeOf(pending))).not.toContain("terminate");
    (await pending).terminate();
    listener.stop(true);
  });

  test("typings for what we use of sockets", () => {
    const handlers = { data() {} };
    // Never called: only the compiler reads it. A line that is no longer an error is one cast less in our code.
    const compiled = () => {
      // @ts-expect-error -- `fd` of a listening socket
      Bun.listen({ fd: 3, socket: handlers });
      // @ts-expect-error -- `fd` of a connecting socket
      void Bun.connect({ fd: 3, socket: handlers });
      // @ts-expect-error -- `reusePort`
      Bun.listen({ hostname: "127.0.0.1", port: 0, reusePort: true, socket: handlers });
      // @ts-expect-error -- `pauseOnConnect`
      Bun.listen({ hostname: "127.0.0.1", port: 0, pauseOnConnect: true, socket: handlers });
      // @ts-expect-error -- `serverName`
      Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {}, serverName() {} } });
      // @ts-expect-error -- the listener's descriptor
      return Bun.listen({ hostname: "127.0.0.1", port: 0, socket: handlers }).fd;
    };
    expect(compiled).toBeFunction();
  });
});

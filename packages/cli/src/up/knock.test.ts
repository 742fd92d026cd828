// What a knock finds, and that the application gets to finish its answer.
import { describe, expect, test } from "bun:test";
import type { Socket } from "bun";
import { knock } from "./knock.ts";

interface Visitor {
  readonly socket: Socket<Visitor>;
  readonly request: string;
  open: boolean;
}

/** A server that answers a request only when it is told to. */
function application(answer: (visitor: Visitor) => void): Disposable & { readonly port: number; visitors: Visitor[] } {
  const visitors: Visitor[] = [];
  const server = Bun.listen<Visitor>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        const visitor = { socket, request: bytes.toString("latin1"), open: true };
        socket.data = visitor;
        visitors.push(visitor);
        answer(visitor);
      },
      close(socket) {
        socket.data.open = false;
      },
    },
  });
  return { port: server.port, visitors, [Symbol.dispose]: () => server.stop(true) };
}

const head = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";

describe("a knock", () => {
  test("tells the status at once, and leaves when the answer is whole", async () => {
    const closed = Promise.withResolvers<void>();
    using app = application(({ socket }) => void socket.write(head));
    expect(await knock(app.port, "/slow")).toEqual({ kind: "status", status: 200, host: "127.0.0.1" });
    // Whatever the first one did to its connection has arrived by the time that a second one was answered.
    expect(await knock(app.port, "/second")).toMatchObject({ kind: "status" });
    const [first] = app.visitors;
    expect(first?.request).toStartWith("GET /slow HTTP/1.1\r\n");
    expect(first?.open).toBe(true);
    first?.socket.end("body");
    const settled = setInterval(() => {
      if (first?.open === false) closed.resolve();
    }, 5);
    await closed.promise;
    clearInterval(settled);
  });

  test("does not read on for ever", async () => {
    const closed = Promise.withResolvers<void>();
    const block = "x".repeat(64 * 1024);
    using app = application((visitor) => {
      visitor.socket.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
      const pour = setInterval(() => {
        if (visitor.open) visitor.socket.write(block);
        else {
          clearInterval(pour);
          closed.resolve();
        }
      }, 1);
    });
    expect(await knock(app.port, "/endless")).toMatchObject({ kind: "status", status: 200 });
    await closed.promise;
  });

  test("tells who says nothing sensible from who is not there", async () => {
    let port = 0;
    {
      using app = application(({ socket }) => void socket.end("220 mail.example ESMTP ready\r\n"));
      port = app.port;
      expect(await knock(port, "/")).toEqual({ kind: "silent", host: "127.0.0.1" });
    }
    expect(await knock(port, "/")).toEqual({ kind: "refused" });
  });
});

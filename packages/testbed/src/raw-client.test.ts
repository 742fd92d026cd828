import { afterEach, expect, test } from "bun:test";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { textOf } from "./answers.ts";
import { connectRaw, type RawClient } from "./raw-client.ts";

let server: Server | undefined;
let client: RawClient | undefined;
afterEach(() => {
  client?.close();
  server?.close();
});

async function against(serve: (socket: Socket) => void, timeout = 5000): Promise<RawClient> {
  const listening = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    serve(socket);
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  client = await connectRaw((listening.address() as AddressInfo).port, { timeout });
  return client;
}

test("tells FIN from RST, before and after bytes", async () => {
  const fin = await against((socket) => socket.end("bye"));
  expect(await fin.readEnd()).toBe("fin");
  expect(Buffer.from(fin.received).toString()).toBe("bye");
  fin.close();
  const rst = await against((socket) => {
    socket.write("part");
    setTimeout(() => socket.resetAndDestroy(), 20);
  });
  expect(await rst.readEnd()).toBe("rst");
  expect(Buffer.from(rst.unread).toString()).toBe("part");
});

test("half-closes: sends FIN and goes on reading", async () => {
  const half = await against((socket) => {
    const parts: Buffer[] = [];
    socket.on("data", (part: Buffer) => parts.push(part));
    socket.on("end", () => socket.end(`got ${Buffer.concat(parts).toString()}`));
  });
  await half.send("all");
  half.shutdown();
  expect(Buffer.from(await half.readUntil("all")).toString()).toBe("got all");
  expect(await half.readEnd()).toBe("fin");
});

test("pieces arrive as pieces", async () => {
  const sizes: number[] = [];
  const cut = await against((socket) => socket.on("data", (part: Buffer) => sizes.push(part.length)));
  await cut.send("abcdef", { cuts: [1, 3], gap: 15 });
  cut.shutdown();
  await Bun.sleep(30);
  expect(sizes).toEqual([1, 2, 3]);
});

test("a large answer that comes slowly is read once it is whole", async () => {
  const body = "x".repeat(500_000);
  const large = await against((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    let at = 0;
    const timer = setInterval(() => {
      socket.write(body.slice(at, at + 50_000));
      at += 50_000;
      if (at >= body.length) clearInterval(timer);
    }, 2);
  });
  expect(textOf(await large.readAnswer())).toBe(body);
});

test("what does not come is told with what did", async () => {
  const silent = await against((socket) => socket.write("HTTP/1.1 200 OK\r\nCont"), 50);
  await expect(silent.readAnswer()).rejects.toThrow('unread: "HTTP/1.1 200 OK\\r\\nCont"');
  const cut = await against((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"));
  await expect(cut.readAnswer()).rejects.toThrow("cut short");
  const gone = await against((socket) => socket.end("ab"));
  await expect(gone.readBytes(3)).rejects.toThrow("3 bytes did not come: connection fin");
});

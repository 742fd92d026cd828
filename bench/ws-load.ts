// Load of WebSockets: so many clients, each with one text message of 64 bytes under way in a tunnel of its own. Arguments: port,
// path, clients, seconds. Prints what it saw as JSON. A tunnel that does not come to be, or ends, is an error.
import { countTimes, tell } from "./times.ts";

const [port = 0, clients = 1, seconds = 1] = [2, 4, 5].map((at) => Number(process.argv[at]));
const head = `GET ${process.argv[3] ?? "/"} HTTP/1.1
Host: 127.0.0.1:${port}
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==

`.replaceAll("\n", "\r\n");
/** A text frame of 64 bytes with the mask of zeros (RFC 6455 §5.3 asks for some mask), so that its echo is the same bytes. */
const frame = Buffer.concat([Buffer.from([0x81, 0xc0, 0, 0, 0, 0]), Buffer.alloc(64, "m")]);
/** Ms without an echo after which a tunnel counts as lost. */
const patience = 5000;

interface Client {
  sentAt: number;
  /** Bytes of the echo that have come; the head of the answer is text until it is whole. */
  echoed: number;
  head: string | undefined;
}

const times = countTimes();
let [requests, errors, agreed] = [0, 0, 0];
let counting = false;
const { promise: allAgreed, resolve: lastAgreed } = Promise.withResolvers<void>();

function send(socket: Bun.Socket<Client>): void {
  socket.data.sentAt = performance.now();
  socket.data.echoed = 0;
  socket.write(frame);
}

const events: Bun.SocketHandler<Client> = {
  open: (socket) => void socket.write(head),
  data(socket, bytes) {
    const { data } = socket;
    if (data.head !== undefined) {
      data.head += bytes.toString("latin1");
      if (!data.head.endsWith("\r\n\r\n")) return;
      if (!data.head.startsWith("HTTP/1.1 101")) return void socket.end();
      data.head = undefined;
      if (++agreed === clients) lastAgreed();
      send(socket);
      return;
    }
    data.echoed += bytes.length;
    if (data.echoed < frame.length) return;
    if (counting) {
      requests++;
      times.add(performance.now() - data.sentAt);
    }
    send(socket);
  },
  close: () => void errors++,
  error() {},
};

const all = await Promise.all(
  Array.from({ length: clients }, async () => {
    const data: Client = { sentAt: performance.now(), echoed: 0, head: "" };
    await Bun.connect({ hostname: "127.0.0.1", port, socket: events, data });
    return data;
  }),
);
await Promise.race([allAgreed, Bun.sleep(patience)]);
counting = true;
const began = performance.now();
await Bun.sleep(seconds * 1000);
const now = performance.now();
errors += all.filter((client) => now - client.sentAt > patience).length;
tell(times, began, { requests, errors });

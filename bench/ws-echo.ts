// The origin of the scenario with WebSockets: agrees to every upgrade and sends back what comes, byte by byte; nobody here looks
// into frames, so that the measured program is the one in front. Anything else is answered with 200. Arguments: first port, how many.
import { createHash } from "node:crypto";

const [first = 0, count = 1] = process.argv.slice(2).map(Number);

interface Peer {
  /** What came of its head; undefined once it is a tunnel. */
  head: string | undefined;
}

const socket: Bun.SocketHandler<Peer> = {
  open: (peer) => void (peer.data = { head: "" }),
  data(peer, bytes) {
    if (peer.data.head === undefined) {
      // 64 clients with one small message each: the kernel takes them all.
      peer.write(bytes);
      return;
    }
    peer.data.head += bytes.toString("latin1");
    if (!peer.data.head.endsWith("\r\n\r\n")) return;
    const key = /^sec-websocket-key: *(\S+)/im.exec(peer.data.head)?.[1];
    peer.data.head = key === undefined ? "" : undefined;
    peer.write(key === undefined ? "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" : agreed(key));
  },
};

function agreed(key: string): string {
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

for (let port = first; port < first + count; port++) {
  Bun.listen<Peer>({ hostname: "127.0.0.1", port, socket, data: { head: "" } });
}
process.stdout.write(`echoing on ${count} ports\n`);

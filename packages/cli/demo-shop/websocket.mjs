// A WebSocket that repeats what it hears (RFC 6455), small enough to read: text, ping and close, unfragmented, up to 64 KiB.
import { createHash } from "node:crypto";

const longest = 65_535;

/**
 * Answers an upgrade request and echoes from then on, with the instance's name in front.
 * @param {import("node:http").IncomingMessage} request
 * @param {import("node:stream").Duplex} socket
 * @param {string} instance
 */
export function echo(request, socket, instance) {
  const key = request.headers["sec-websocket-key"];
  if (key === undefined || request.headers.upgrade?.toLowerCase() !== "websocket") {
    socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  let held = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (bytes) => {
    held = Buffer.concat([held, bytes]);
    for (;;) {
      const frame = readFrame(held);
      if (frame === null) return;
      if (frame === "refused") return void socket.end(writeFrame(8, Buffer.from([3, 241])));
      held = held.subarray(frame.size);
      if (frame.opcode === 1) socket.write(writeFrame(1, Buffer.concat([Buffer.from(`${instance}: `), frame.payload])));
      else if (frame.opcode === 9) socket.write(writeFrame(10, frame.payload));
      else if (frame.opcode === 8) return void socket.end(writeFrame(8, frame.payload.subarray(0, 2)));
    }
  });
}

/** One masked frame from the beginning of `bytes`; null when it is not whole yet. */
function readFrame(bytes) {
  if (bytes.length < 2) return null;
  const [first = 0, second = 0] = bytes;
  const short = second & 127;
  // Fragments, extensions, unmasked frames and 64-bit lengths have no place in a demonstration.
  if ((first & 0xf0) !== 0x80 || (second & 128) === 0 || short === 127) return "refused";
  const start = short === 126 ? 4 : 2;
  if (bytes.length < start + 4) return null;
  const length = short === 126 ? bytes.readUInt16BE(2) : short;
  const size = start + 4 + length;
  if (bytes.length < size) return null;
  const mask = bytes.subarray(start, start + 4);
  const payload = Buffer.from(bytes.subarray(start + 4, size));
  for (let at = 0; at < payload.length; at++) payload[at] ^= mask[at & 3] ?? 0;
  return { opcode: first & 15, payload, size };
}

function writeFrame(opcode, payload) {
  const body = payload.subarray(0, longest);
  const head =
    body.length < 126
      ? Buffer.from([0x80 | opcode, body.length])
      : Buffer.from([0x80 | opcode, 126, body.length >> 8, body.length & 255]);
  return Buffer.concat([head, body]);
}

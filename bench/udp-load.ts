// Load of datagrams: so many clients, each with one of 64 bytes under way. Arguments: port, clients, seconds. Prints what it
// saw as JSON. What had no answer for a second counts as an error, and is sent again.
import { countTimes, tell } from "./times.ts";

const [port = 0, clients = 1, seconds = 1] = process.argv.slice(2).map(Number);
const patience = 1000;
const payload = new Uint8Array(64);
const times = countTimes();

interface Client {
  sentAt: number;
  socket: { send(bytes: Uint8Array): boolean } | null;
}

let requests = 0;
let errors = 0;
let counting = false;

async function begin(): Promise<Client> {
  const client: Client = { sentAt: 0, socket: null };
  client.socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: {
      data() {
        const now = performance.now();
        if (counting) {
          requests++;
          times.add(now - client.sentAt);
        }
        client.sentAt = now;
        client.socket?.send(payload);
      },
      error() {},
    },
  });
  client.sentAt = performance.now();
  client.socket.send(payload);
  return client;
}

const all = await Promise.all(Array.from({ length: clients }, begin));
setInterval(() => {
  const now = performance.now();
  for (const client of all) {
    if (now - client.sentAt < patience) continue;
    errors++;
    client.sentAt = now;
    client.socket?.send(payload);
  }
}, 100);

counting = true;
const began = performance.now();
await Bun.sleep(seconds * 1000);
tell(times, began, { requests, errors });

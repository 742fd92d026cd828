// A process that opens connections, asks once on each, keeps them open and says so:
//   bun idle-holder.ts <port> <count>
// It runs apart, so that its descriptors and its time are not those of the measuring.
const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const request = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
let answered = 0;

const handlers = {
  open(socket: Bun.Socket<{ seen: boolean }>): void {
    socket.write(request);
  },
  data(socket: Bun.Socket<{ seen: boolean }>): void {
    if (socket.data.seen) return;
    socket.data.seen = true;
    answered++;
  },
  close(): void {
    console.log("lost one");
  },
};

const open = new Set<unknown>();
while (open.size < count) {
  const batch = Array.from({ length: Math.min(100, count - open.size) }, () =>
    Bun.connect({ hostname: "127.0.0.1", port, socket: handlers, data: { seen: false } }),
  );
  for (const socket of await Promise.all(batch)) open.add(socket);
}
while (answered < count) await Bun.sleep(10);
console.log(`holding ${open.size}`);
setInterval(() => open.size, 60_000);

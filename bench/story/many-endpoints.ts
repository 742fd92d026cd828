// Many endpoints in one process: bun many-endpoints.ts <endpoints> <flapping>. All answer everything with 200, but after a
// SIGUSR2 (until the next) the first ones say 503 to their probes for 4 s in 8, each at a time of its own.
const [, , endpoints = "1000", flapping = "100"] = process.argv;
const answer = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + "x".repeat(100));
const unready = Buffer.from("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
const period = 8000;

let flaps = false;
process.on("SIGUSR2", () => {
  flaps = !flaps;
});

const listeners = Array.from({ length: Number(endpoints) }, (_, at) =>
  Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => void socket.setNoDelay(true),
      // Each of its clients sends one small request at a time.
      data(socket, bytes) {
        const out = flaps && at < Number(flapping) && isProbe(bytes) && isDown(at);
        socket.write(out ? unready : answer);
      },
    },
  }),
);
console.log(`listening on ${listeners.map((one) => one.port).join(",")}`);

function isProbe(bytes: Buffer): boolean {
  return bytes.subarray(0, 32).includes("/readyz");
}

function isDown(at: number): boolean {
  return (Date.now() + at * 677) % period < period / 2;
}

// The origin of the scenarios with datagrams: sends each one back to where it came from. Arguments: first port, how many.
const [first = 0, count = 1] = process.argv.slice(2).map(Number);
for (let port = first; port < first + count; port++) {
  await Bun.udpSocket({
    hostname: "127.0.0.1",
    port,
    socket: { data: (socket, bytes, from, address) => void socket.send(bytes, from, address) },
  });
}
process.stdout.write(`echoing on ${count} ports\n`);

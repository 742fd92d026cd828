// Load of TLS connections that resume: so many clients, each with one connection at a time, and each new one with the ticket
// that the last one was given, as browsers do. Arguments: port, path, clients, seconds. Prints what it saw as JSON.
//
// wrk resumes nothing. `openssl s_time -reuse` tells no times, and four of it on one core came to 2,960 connections a second
// where this comes to 3,760, before the same nginx.
import { countTimes, tell } from "./times.ts";

const [port = 0, clients = 1, seconds = 1] = [2, 4, 5].map((at) => Number(process.argv[at]));
const request = Buffer.from(
  `GET ${process.argv[3] ?? "/"} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
);
/** The same key exchange with everybody, whoever knows a newer one: it is most of what a resumed handshake costs. */
const tls = { rejectUnauthorized: false, ecdhCurve: "X25519" };
/** Ms after which a connection without its answer counts as an error. */
const patience = 10_000;

interface Client {
  ticket: Uint8Array | undefined;
  /** When its connection was begun. */
  from: number;
  /** Ms that its handshake took; undefined until then. */
  shaken: number | undefined;
  resumed: boolean;
  answered: boolean;
}

/** What Bun's types do not know of a TLS socket: it takes a ticket until its first write, and hands on each that it is given. */
interface TlsSocket {
  readonly data: Client;
  setSession(ticket: Uint8Array): void;
  isSessionReused(): boolean;
  write(bytes: Uint8Array): number;
}

const times = countTimes();
const all: Client[] = [];
let [requests, resumed, errors] = [0, 0, 0];
/** Clients that have no ticket yet. */
let strangers = clients;
const { promise: everybodyIsKnown, resolve: everybodyKnown } = Promise.withResolvers<void>();
/** When counting began: connections that were begun before are not counted, because some of them had no ticket yet. */
let began = Infinity;

const events = {
  open(socket: TlsSocket) {
    if (socket.data.ticket !== undefined) socket.setSession(socket.data.ticket);
  },
  handshake(socket: TlsSocket) {
    // Whether it succeeded is not asked: Bun says no of a certificate that nobody signed. Without an answer it is an error.
    const { data } = socket;
    data.shaken = performance.now() - data.from;
    data.resumed = socket.isSessionReused();
    socket.write(request);
  },
  session({ data }: TlsSocket, ticket: Uint8Array) {
    if (data.ticket === undefined && --strangers === 0) everybodyKnown();
    data.ticket = ticket;
  },
  data({ data }: TlsSocket, bytes: Uint8Array) {
    // "HTTP/1.1 200" and on: what else an origin says is no answer.
    data.answered ||= bytes[9] === 0x32;
  },
  close: ended,
  // Told to `close`, too.
  error() {},
};

function begin(client: Client): void {
  client.from = performance.now();
  client.shaken = undefined;
  client.resumed = client.answered = false;
  const options = { hostname: "127.0.0.1", port, data: client, tls, socket: events };
  Bun.connect(options as unknown as Bun.TCPSocketConnectOptions<Client>).catch(() => {
    errors++;
    // It refuses: at once would be a loop without rest.
    setTimeout(begin, 100, client);
  });
}

function ended({ data }: TlsSocket): void {
  if (data.from >= began) {
    if (data.shaken === undefined || !data.answered) errors++;
    else {
      requests++;
      if (data.resumed) resumed++;
      times.add(data.shaken);
    }
  }
  begin(data);
}

for (let at = 0; at < clients; at++) {
  const client: Client = { ticket: undefined, from: 0, shaken: undefined, resumed: false, answered: false };
  all.push(client);
  begin(client);
}
// A balancer that gives no tickets is measured all the same; its share of resumed ones says so.
await Promise.race([everybodyIsKnown, Bun.sleep(2000)]);
began = performance.now();
await Bun.sleep(seconds * 1000);
const now = performance.now();
errors += all.filter((client) => now - client.from > patience).length;
tell(times, began, { requests, errors, resumed: requests > 0 ? resumed / requests : 0 });

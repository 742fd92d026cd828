// One question to one DNS server: over UDP, and over TCP when the answer did not fit. Control plane: promises are fine.

import { decode, encode, RECURSION_DESIRED, type DecodedPacket } from "dns-packet";
import { after } from "./clock.ts";
import { answersQuestion, type ResolveFailureKind, type ResolverType } from "./dns-answer.ts";
import type { DnsServer } from "./resolver-config.ts";

/** What to ask. */
export interface DnsQuestion {
  readonly name: string;
  readonly type: ResolverType;
  readonly timeoutMs: number;
  readonly tcpOnly: boolean;
}

/** The server's answer, or why there is none. */
export type DnsReply =
  | { readonly packet: DecodedPacket }
  | { readonly failure: ResolveFailureKind; readonly cause: string };

// The size that passes every path unfragmented (DNS flag day 2020).
const udpPayload = 1232;
// Somebody floods us with guesses: give up on this question rather than go on taking them apart.
const maxStrays = 100;

/** Asks. Never rejects. `signal` ends it early with "closed". */
export async function askServer(server: DnsServer, question: DnsQuestion, signal: AbortSignal): Promise<DnsReply> {
  let reply = await ask(server, question, true, signal);
  // A server from before EDNS (RFC 6891 §7).
  if ("packet" in reply && rcode(reply.packet) === "FORMERR") reply = await ask(server, question, false, signal);
  return reply;
}

async function ask(server: DnsServer, question: DnsQuestion, edns: boolean, signal: AbortSignal): Promise<DnsReply> {
  const id = crypto.getRandomValues(new Uint16Array(1))[0]!;
  const query = encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [{ type: question.type, name: question.name }],
    ...(edns && { additionals: [opt] }),
  });
  if (!question.tcpOnly) {
    const reply = await overUdp(server, question, id, query, signal);
    if (!("packet" in reply) || !(reply.packet as { flag_tc?: boolean }).flag_tc) return reply;
  }
  return overTcp(server, question, id, query, signal);
}

const opt = { type: "OPT", name: ".", udpPayloadSize: udpPayload, flags: 0, options: [] } as never;

function overUdp(
  server: DnsServer,
  question: DnsQuestion,
  id: number,
  query: Uint8Array,
  signal: AbortSignal,
): Promise<DnsReply> {
  return settle(question.timeoutMs, signal, (done, onSettled) => {
    let strays = 0;
    // A socket of its own for each question: the system draws a random port for it, and since it is connected lets only
    // this server's datagrams in. Id, port and question together are what a forger must guess (RFC 5452).
    Bun.udpSocket({
      connect: { hostname: server.host, port: server.port },
      binaryType: "buffer",
      socket: {
        data(_, datagram) {
          const reply = read(datagram, id, question);
          if (reply !== undefined) done(reply);
          else if (++strays > maxStrays) done({ failure: "malformed", cause: "too many answers to other questions" });
        },
        // Called with the error alone, though Bun's types put the socket before it.
        error(...told: unknown[]) {
          done(unreachable(told.at(-1)));
        },
      },
    }).then(
      (socket) => {
        onSettled(() => socket.close());
        try {
          socket.send(query);
        } catch (error) {
          done(unreachable(error));
        }
      },
      (error: unknown) => done(unreachable(error)),
    );
  });
}

function overTcp(
  server: DnsServer,
  question: DnsQuestion,
  id: number,
  query: Uint8Array,
  signal: AbortSignal,
): Promise<DnsReply> {
  return settle(question.timeoutMs, signal, (done, onSettled) => {
    // The length of two bytes bounds what is ever kept.
    let kept = Buffer.alloc(0);
    const framed = Buffer.alloc(2 + query.length);
    framed.writeUInt16BE(query.length, 0);
    framed.set(query, 2);
    Bun.connect({
      hostname: server.host,
      port: server.port,
      socket: {
        binaryType: "buffer",
        open(socket) {
          // Seventeen to three hundred bytes into an empty send buffer: never short.
          socket.write(framed);
        },
        data(_, chunk) {
          kept = Buffer.concat([kept, chunk]);
          if (kept.length < 2 || kept.length < 2 + kept.readUInt16BE(0)) return;
          const message = kept.subarray(2, 2 + kept.readUInt16BE(0));
          done(read(message, id, question) ?? { failure: "malformed", cause: "the answer is to another question" });
        },
        close() {
          done({ failure: "unreachable", cause: "the server closed the connection" });
        },
        error(_, error) {
          done(unreachable(error));
        },
      },
    }).then(
      (socket) => onSettled(() => socket.terminate()),
      (error: unknown) => done(unreachable(error)),
    );
  });
}

/** Undefined: not the answer to this question, perhaps a forgery; the real one may still come. */
function read(message: Buffer, id: number, question: DnsQuestion): DnsReply | undefined {
  if (message.length < 12 || message.readUInt16BE(0) !== id) return undefined;
  let packet: DecodedPacket;
  try {
    packet = decode(message);
  } catch (error) {
    // A truncated datagram may well end inside a record; its header says so.
    if ((message[2]! & 0x82) === 0x82) return { packet: { flag_tc: true } as unknown as DecodedPacket };
    return { failure: "malformed", cause: (error as Error).message };
  }
  // Refusals may come without the question (RFC 5452 allows it; some servers do).
  if (packet.questions?.length === 0 && packet.type === "response" && rcode(packet) !== "NOERROR") return { packet };
  return answersQuestion(packet, id, question.name, question.type) ? { packet } : undefined;
}

function rcode(packet: DecodedPacket): string | undefined {
  return (packet as { rcode?: string }).rcode;
}

function unreachable(error: unknown): DnsReply {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return { failure: "unreachable", cause: typeof code === "string" ? code : String(error) };
}

/**
 * Runs `start` until it calls `done`, time is up or the signal comes. What `start` hands to `onSettled` is called once,
 * then or at once if it is then already.
 */
function settle(
  timeoutMs: number,
  signal: AbortSignal,
  start: (done: (reply: DnsReply) => void, onSettled: (release: () => void) => void) => void,
): Promise<DnsReply> {
  return new Promise((resolve) => {
    let settled = false;
    let release: (() => void) | undefined;
    const done = (reply: DnsReply): void => {
      if (settled) return;
      settled = true;
      cancel();
      signal.removeEventListener("abort", aborted);
      release?.();
      resolve(reply);
    };
    const aborted = (): void => done({ failure: "closed", cause: "the resolver was closed" });
    const cancel = after(timeoutMs, () => done({ failure: "timeout", cause: `no answer within ${timeoutMs} ms` }));
    signal.addEventListener("abort", aborted);
    try {
      start(done, (given) => {
        if (settled) given();
        else release = given;
      });
    } catch (error) {
      // Bun.udpSocket throws at once what one would expect its promise to reject with.
      done(unreachable(error));
    }
    if (signal.aborted) aborted();
  });
}

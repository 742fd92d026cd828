// Datagrams: sockets that are bound and hear from everybody, and sockets that are connected and hear from one. Bun reads (many
// datagrams with one system call); what is sent goes to libc at once, with the address encoded beforehand: Bun's own `send`
// would read it from text each time. Nothing is kept that the kernel has no room for: a datagram may always be lost.
import type { DescriptorAccount } from "./descriptor-gate.ts";
import { closeFd, duplicate, errno, errnoName, libc, linux, systemError } from "./libc.ts";
import { listeningPort, openDatagramSocket } from "./listening-socket.ts";
import { addressText, encodeAddress, isOwnAddress, type KernelAddress, plainAddress } from "./socket-address.ts";
import type { Address } from "./transport.ts";

/** Somebody who sent a datagram to a bound socket, ready to be answered. */
export interface Sender {
  /** IP address as text (IPv4-mapped IPv6 as IPv4). */
  readonly address: string;
  readonly port: number;
  readonly encoded: KernelAddress;
}

/** A bound socket. */
export interface DatagramDoor {
  readonly port: number;
  /** Whether the kernel took it. */
  send(bytes: Uint8Array, to: Sender): boolean;
  /** Reads no more; sending goes on. */
  shut(): void;
  /** Gives the descriptor up. */
  close(): void;
}

/** A connected socket. */
export interface DatagramConnection {
  send(bytes: Uint8Array): boolean;
  close(): void;
}

/** Told of what arrives; `bytes` is borrowed. Text and number name the sender; `senderOf` makes more of them. */
export type DoorHandler = (bytes: Uint8Array, address: string, port: number) => void;

export interface DatagramHandler {
  onDatagram(bytes: Uint8Array): void;
  /** An earlier datagram came back: nobody listens there, or there is no way. */
  onRefused(cause: string): void;
}

export interface DatagramTransport {
  /** `fd`: an inherited bound descriptor, which belongs to the door from here on. Throws an Error with `.code`. */
  open(address: Address, fd: number | undefined, handler: DoorHandler): DatagramDoor;
  /** null when there is no descriptor left or no such address. */
  connect(address: Address, handler: DatagramHandler): DatagramConnection | null;
  /** Encodes who sent; on a door for IPv6, IPv4 addresses are mapped ones. */
  senderOf(address: string, port: number, door: DatagramDoor): Sender;
}

const sendFlags = linux.MSG_DONTWAIT | linux.MSG_NOSIGNAL;

/** A Bun socket on a descriptor of its own, which it closes. */
interface Reader {
  close(): void;
}

interface ReaderEvents {
  data(socket: unknown, bytes: Uint8Array, port: number, address: string, flags: { readonly truncated: boolean }): void;
  error(error: Error & { readonly code?: string }): void;
}

/** Reads from `fd` until the function that is returned is called; the descriptor is then closed. */
function read(fd: number, events: ReaderEvents, onFailure: (error: unknown) => void): () => void {
  let over = false;
  let reader: Reader | null = null;
  // `fd` is there at run time, though not in Bun's types (tests/integration/runtime/datagrams.test.ts holds it to that).
  const made = Bun.udpSocket({ fd, binaryType: "uint8array", socket: events } as never) as unknown as Promise<Reader>;
  made.then(
    (socket) => {
      if (over) socket.close();
      else reader = socket;
    },
    (error: unknown) => {
      onFailure(error);
      closeFd(fd);
    },
  );
  return () => {
    over = true;
    reader?.close();
    reader = null;
  };
}

/** `descriptors`: where each socket to an endpoint is counted. */
export function createDatagramTransport(
  descriptors: DescriptorAccount | null = null,
  onDefect: (error: unknown) => void = (error) => console.error("plimsoll: a datagram handler failed:", error),
): DatagramTransport {
  return {
    open(address, fd = openDatagramSocket(address).fd, handler) {
      const second = duplicate(fd);
      if (second < 0) {
        const number = errno();
        throw systemError(number, `Cannot listen on ${addressText(address)}: ${errnoName(number)}.`);
      }
      const stop = read(
        second,
        {
          data(_, bytes, port, from, { truncated }) {
            // Longer than anything UDP carries: what is left of it is not what was sent.
            if (truncated) return;
            try {
              handler(bytes, from, port);
            } catch (error) {
              onDefect(error);
            }
          },
          // On a bound socket only what concerns an answer of ours; nobody can be told.
          error() {},
        },
        onDefect,
      );
      return new BoundDoor(fd, stop);
    },

    connect(address, handler) {
      const encoded = encodeAddress(address);
      if (typeof encoded === "string" || descriptors?.isFull === true) return null;
      const fd = connected(encoded);
      if (fd < 0) return null;
      let over = false;
      descriptors?.taken(false);
      const end = (): void => {
        over = true;
        descriptors?.freed(false);
      };
      const stop = read(
        fd,
        {
          data(_, bytes, _port, _from, { truncated }) {
            if (truncated || over) return;
            try {
              handler.onDatagram(bytes);
            } catch (error) {
              onDefect(error);
            }
          },
          error(error) {
            // "Fragmentation needed" is about one datagram and the way to the endpoint.
            if (!over && error.code !== "EMSGSIZE") handler.onRefused(error.code ?? error.message);
          },
        },
        (error) => {
          if (over) return;
          end();
          handler.onRefused(String(error));
        },
      );
      return {
        send(bytes) {
          if (over) return false;
          if (libc.send(fd, bytes, bytes.length, sendFlags) === bytes.length) return true;
          // This call was told what became of an earlier datagram, so whoever reads will not be. Not from inside our caller's call.
          if (errnoName(errno()) === "ECONNREFUSED") queueMicrotask(() => over || handler.onRefused("ECONNREFUSED"));
          return false;
        },
        close() {
          if (over) return;
          end();
          stop();
        },
      };
    },

    senderOf(address, port, door) {
      const mapped = (door as BoundDoor).family === linux.AF_INET6 && !address.includes(":");
      const encoded = encodeAddress({ kind: "tcp", host: mapped ? `::ffff:${address}` : address, port });
      // The kernel made the text: it is an address.
      return { address: plainAddress(address), port, encoded: encoded as KernelAddress };
    },
  };
}

/**
 * A socket that is connected to an endpoint, or -1. Where nobody listens at an endpoint of this machine the kernel may give its port
 * to our own side, and a client would get its questions back: another socket has another port.
 */
function connected(to: KernelAddress, tries = 3): number {
  const fd = libc.socket(to.family, linux.SOCK_DGRAM | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const made = libc.connect(fd, to.bytes, to.bytes.length) === 0;
  if (made && !isOwnAddress(fd, to)) return fd;
  // Closed only afterwards: until then its port is given to nobody else.
  const other = made && tries > 1 ? connected(to, tries - 1) : -1;
  closeFd(fd);
  return other;
}

class BoundDoor implements DatagramDoor {
  readonly port: number;
  readonly family: number;
  readonly #fd: number;
  readonly #stop: () => void;
  #closed = false;

  constructor(fd: number, stop: () => void) {
    this.#fd = fd;
    this.#stop = stop;
    this.port = listeningPort(fd);
    this.family = familyOf(fd);
  }

  send(bytes: Uint8Array, { encoded }: Sender): boolean {
    if (this.#closed) return false;
    const { bytes: to } = encoded;
    return libc.sendto(this.#fd, bytes, bytes.length, sendFlags, to, to.length) === bytes.length;
  }

  shut(): void {
    this.#stop();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop();
    closeFd(this.#fd);
  }
}

function familyOf(fd: number): number {
  const bytes = new Uint8Array(128);
  return libc.getsockname(fd, bytes, new Uint32Array([bytes.length])) < 0 ? 0 : bytes[0]!;
}

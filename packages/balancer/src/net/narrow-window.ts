// How much the kernel takes for peers that read slowly.
// Some have next to no window, as slow readers do on purpose. The kernel cuts what is written to them into segments of half a
// window as soon as it is written: a megabyte for a window of 1 KiB becomes 1,800 of them, 4 MiB with their headers, and 5 to 10 ms of this
// thread, in nginx as here (measured with slowhttptest's 512 bytes). Four hundred such clients a second held everybody else up
// for two seconds. So the kernel is given little at a time for them; whoever has a real window is not touched.
import { libc, linux } from "./libc.ts";

/** What may be written to a peer before anybody looks, bytes: most connections never carry more. */
export const alwaysFine = 16 * 1024;
/** A window below this, bytes, is narrow. Old kernels begin with 14,600; small devices have 2 to 6 KiB for good. */
const narrow = 8 * 1024;
/** What may wait unsent for such a peer, bytes: several of its windows, so that it is not slowed down. */
const mostUnsent = 32 * 1024;

/** Into struct tcp_info: the window that the peer advertised last (Linux 5.4 and later), in bytes. */
const sendWindow = 228;
const info = new Uint32Array(sendWindow / 4 + 1);
const infoLength = new Uint32Array(1);
const narrowLimit = new Uint32Array([mostUnsent]);
const usualLimit = new Uint32Array([1024 * 1024]);

/**
 * Looks at the window of a connection's peer, and bounds what the kernel takes for it if that is narrow; from then on writes
 * are short early, and the rest is asked for when half is sent. Windows that were wide once count as wide in the kernel for ever, so one
 * look is enough. Returns whether it is bounded.
 */
export function boundIfNarrow(fd: number): boolean {
  infoLength[0] = info.byteLength;
  if (libc.getsockopt(fd, linux.IPPROTO_TCP, linux.TCP_INFO, info, infoLength) < 0) return false;
  if (infoLength[0] < info.byteLength || info[sendWindow / 4]! >= narrow) return false;
  return libc.setsockopt(fd, linux.IPPROTO_TCP, linux.TCP_NOTSENT_LOWAT, narrowLimit, 4) === 0;
}

/**
 * Bounds what may wait unsent for the peer of any connection that is accepted from a listening socket: they inherit it. The kernel would
 * let it grow to 4 MiB each (net.ipv4.tcp_wmem) for readers that are slow or stand still; what is on its way to a fast one does not
 * count. At 256 KiB answers of a megabyte cost a third more CPU, because writes end early; at this size they cost no more, and
 * answers of 16 MB 6 % less.
 */
export function boundUnsent(listening: number): void {
  libc.setsockopt(listening, linux.IPPROTO_TCP, linux.TCP_NOTSENT_LOWAT, usualLimit, 4);
}
